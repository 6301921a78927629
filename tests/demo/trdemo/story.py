"""One run with faults: a script breaks things and notes what it sees, tests judge the moments afterwards.

Invariant: a script that fails loses nothing that it noted before, and what it did not reach is told with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trcluster.waiting import until
from trdemo import evidence
from trdemo.evidence import Resume
from trdemo.faults import Faults
from trdemo.follow import condition
from trdemo.scene import Object

SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Resumed:
    """An attempt that went on: what status says, and what the bucket says about it."""

    status: Object
    bucket: Resume

    @property
    def told(self) -> Resume:
        """What status says."""
        training = self.status["training"]
        return Resume(training["resumedFromStep"], training["stepsLost"])

    @property
    def attempts(self) -> Object:
        """The entry of training in `status.attempts`: how the attempt before ended."""
        return entry_of(self.status, "train")


class Story:
    """A run, what is done to it, and what was seen."""

    def __init__(self, faults: Faults, run: Object) -> None:
        self.faults, self.run = faults, run
        self.name: str = run["metadata"]["name"]
        self.uid = ""
        self._moments: dict[str, Any] = {}
        self._error = ""

    def tell(self, script: Callable[[Story], None]) -> None:
        """Apply the run and follow the script to its end, or to the first thing that does not come."""
        try:
            self.begin()
            script(self)
        except Exception as error:  # noqa: BLE001 - told by every test that misses a moment
            self._error = f"{type(error).__name__}: {error}\n{self.faults.story(self.name)}"

    def begin(self) -> None:
        """Apply the run."""
        self.faults.scene.apply(self.run, namespace=self.faults.namespace)
        kubectl = self.faults.scene.place.kubectl
        self.uid = kubectl.get("trainingrun", self.name, namespace=self.faults.namespace)["metadata"]["uid"]

    def note(self, moment: str, seen: Any) -> None:
        """Keep what was seen."""
        self._moments[moment] = seen

    def __getitem__(self, moment: str) -> Any:
        if moment not in self._moments:
            raise AssertionError(f"run {self.name} did not come to {moment!r}: {self._error}")
        return self._moments[moment]

    def status(self) -> Object:
        """Status now."""
        return self.faults.scene.status(self.name, namespace=self.faults.namespace)

    def until(self, wanted: Callable[[Object], bool], what: str, *, seconds: float = SECONDS) -> Object:
        """Wait for a status."""
        return self.faults.scene.until(self.name, wanted, namespace=self.faults.namespace, seconds=seconds, what=what)

    def finished(self) -> Object:
        """Wait for the end of the run, whatever it is."""
        return self.faults.scene.finished(self.name, namespace=self.faults.namespace, seconds=SECONDS)

    def pod(self, stage: str, attempt: int = 1) -> Object:
        """The pod of an attempt, once it is there."""
        return self.faults.pod(self.name, stage, attempt=attempt, seconds=SECONDS)

    def step_beyond(self, step: int) -> Object:
        """Wait until training is beyond a step."""
        return self.until(lambda s: s.get("training", {}).get("step", 0) > step, f"a step beyond {step}")

    def checkpoint_beyond(self, step: int) -> int:
        """Wait until a later checkpoint is in the bucket; returns its step."""
        status = self.until(
            lambda s: s.get("training", {}).get("checkpointStep", 0) > step, f"a checkpoint beyond step {step}"
        )
        return int(status["training"]["checkpointStep"])

    def resumed(self, attempt: int) -> Resumed:
        """Wait until an attempt of training says from where it goes on."""
        bucket = self.faults.scene.bucket
        uid = self.pod("train", attempt)["metadata"]["uid"]
        prefix = evidence.prefix_of(self.status())
        epoch = until(
            lambda: evidence.epoch_of(bucket, prefix, uid), what=f"attempt {attempt} to claim an epoch", seconds=SECONDS
        )
        assert epoch is not None
        found = evidence.resume_before(bucket, prefix, epoch)
        status = self.until(
            lambda s: (
                entry_of(s, "train").get("number") == attempt
                and s.get("training", {}).get("resumedFromStep") == found.step
                and s["training"].get("step", 0) > found.step
            ),
            f"attempt {attempt} going on from step {found.step}, as the bucket says",
        )
        return Resumed(status, found)

    def ended(self, stage: str, attempt: int) -> Object:
        """Wait until an attempt was counted; returns the stage's entry in `status.attempts`."""
        status = self.until(
            lambda s: entry_of(s, stage).get("ended", 0) >= attempt, f"the end of attempt {attempt} of {stage}"
        )
        return entry_of(status, stage)

    def delete(self) -> set[str]:
        """Delete the run and wait until nothing of it is left in the cluster; returns what the bucket lost."""
        prefix = evidence.prefix_of(self.status())
        kubectl = self.faults.scene.place.kubectl
        bucket = self.faults.scene.bucket
        before = {key for key in bucket.keys(prefix) if "/events/" not in key}  # whose chunks are joined at the end
        kubectl("delete", "trainingrun", self.name, "-n", self.faults.namespace, "--wait")
        self.faults.gone(self.uid)
        return before - bucket.keys(prefix).keys()

    def wrong_objects(self) -> list[str]:
        """What is not as a manifest of this run says."""
        return evidence.wrong_objects(self.faults.scene.bucket, evidence.prefix_of(self.status()))


def entry_of(status: Object, stage: str) -> Object:
    """A stage's entry in `status.attempts`, empty before its first attempt."""
    return next((dict(entry) for entry in status.get("attempts", ()) if entry["stage"] == stage), {})


def succeeded(status: Object) -> bool:
    """Whether a run ended with all its results."""
    return condition(status, "Succeeded") == "True"
