"""One run with injected faults: a script injects them and records observations, which tests check afterwards.

Invariant: when a script fails, earlier observations stay; a test that needs a later one fails with the script's error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trcluster.waiting import until
from trdemo import stored_run
from trdemo.faults import Faults
from trdemo.follow import condition
from trdemo.installation import Object
from trdemo.stored_run import Resume

SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Resumed:
    """A resumed attempt: the run's status, and what the bucket says it must resume from."""

    status: Object
    bucket: Resume

    @property
    def is_reported(self) -> bool:
        """Whether the status reports the resume; it sums up the lost steps of all attempts."""
        training = self.status["training"]
        return bool(training["resumedFromStep"] == self.bucket.step and training["stepsLost"] >= self.bucket.lost)

    @property
    def attempts(self) -> Object:
        """The entry of training in `status.attempts`, which says how the previous attempt ended."""
        return entry_of(self.status, "train")


class FaultScenario:
    """A run, the faults injected into it, and the recorded observations by name; `seconds` bounds each wait."""

    def __init__(self, faults: Faults, run: Object, *, seconds: float = SECONDS) -> None:
        self.faults, self.run, self.seconds = faults, run, seconds
        self.name: str = run["metadata"]["name"]
        self.uid = ""
        self._moments: dict[str, Any] = {}
        self._error = ""

    def run_script(self, script: Callable[[FaultScenario], None]) -> None:
        """Apply the run and execute the script until it ends or fails."""
        try:
            self.begin()
            script(self)
        except Exception as error:  # noqa: BLE001 - __getitem__ reports it
            self._error = f"{type(error).__name__}: {error}\n{self.faults.diagnostics(self.name)}"

    def begin(self) -> None:
        """Apply the run."""
        self.faults.installation.apply(self.run, namespace=self.faults.namespace)
        kubectl = self.faults.installation.target.kubectl
        self.uid = kubectl.get("trainingrun", self.name, namespace=self.faults.namespace)["metadata"]["uid"]

    def note(self, moment: str, seen: Any) -> None:
        """Record an observation under a name."""
        self._moments[moment] = seen

    def __getitem__(self, moment: str) -> Any:
        if moment not in self._moments:
            raise AssertionError(f"run {self.name} did not reach {moment!r}: {self._error}")
        return self._moments[moment]

    def status(self) -> Object:
        """Current status of the run."""
        return self.faults.installation.status(self.name, namespace=self.faults.namespace)

    def until(self, wanted: Callable[[Object], bool], what: str, *, seconds: float | None = None) -> Object:
        """Wait until the status satisfies a predicate; returns the status."""
        return self.faults.installation.until(
            self.name, wanted, namespace=self.faults.namespace, seconds=seconds or self.seconds, what=what
        )

    def finished(self) -> Object:
        """Wait until the run has finished, successfully or not."""
        return self.faults.installation.finished(self.name, namespace=self.faults.namespace, seconds=self.seconds)

    def pod(self, stage: str, attempt: int = 1) -> Object:
        """Wait for the pod of an attempt and return it."""
        return self.faults.pod(self.name, stage, attempt=attempt, seconds=self.seconds)

    def step_beyond(self, step: int) -> Object:
        """Wait until training has passed a step."""
        return self.until(lambda s: s.get("training", {}).get("step", 0) > step, f"a step beyond {step}")

    def checkpoint_beyond(self, step: int) -> int:
        """Wait until the bucket holds a checkpoint of a later step; returns that step."""
        status = self.until(
            lambda s: s.get("training", {}).get("checkpointStep", 0) > step, f"a checkpoint beyond step {step}"
        )
        return int(status["training"]["checkpointStep"])

    def resumed(self, attempt: int) -> Resumed:
        """Wait until an attempt of training reports the step that it resumed from."""
        bucket = self.faults.installation.bucket
        uid = self.pod("train", attempt)["metadata"]["uid"]
        prefix = stored_run.prefix_of(self.status())
        epoch = until(
            lambda: stored_run.epoch_of(bucket, prefix, uid),
            what=f"attempt {attempt} to claim an epoch",
            seconds=self.seconds,
        )
        assert epoch is not None
        found = stored_run.resume_before(bucket, prefix, epoch)
        status = self.until(
            lambda s: (
                entry_of(s, "train").get("number") == attempt
                and s.get("training", {}).get("resumedFromStep") == found.step
                and s["training"].get("step", 0) > found.step
            ),
            f"attempt {attempt} to resume from step {found.step}, the newest checkpoint in the bucket,",
        )
        return Resumed(status, found)

    def ended(self, stage: str, attempt: int) -> Object:
        """Wait until the operator has counted an attempt as ended; returns the stage's entry in `status.attempts`."""
        status = self.until(
            lambda s: entry_of(s, stage).get("ended", 0) >= attempt, f"the end of attempt {attempt} of {stage}"
        )
        return entry_of(status, stage)

    def delete(self) -> set[str]:
        """Delete the run and wait until its objects are gone; returns the keys that its bucket lost."""
        prefix = stored_run.prefix_of(self.status())
        kubectl = self.faults.installation.target.kubectl
        bucket = self.faults.installation.bucket
        before = {key for key in bucket.keys(prefix) if "/events/" not in key}  # event files are joined at the end
        kubectl("delete", "trainingrun", self.name, "-n", self.faults.namespace, "--wait")
        self.faults.wait_until_gone(self.uid)
        return before - bucket.keys(prefix).keys()

    def wrong_objects(self) -> list[str]:
        """Describe the objects of this run that differ from their manifests."""
        return stored_run.wrong_objects(self.faults.installation.bucket, stored_run.prefix_of(self.status()))


def entry_of(status: Object, stage: str) -> Object:
    """A stage's entry in `status.attempts`; empty before its first attempt."""
    return next((dict(entry) for entry in status.get("attempts", ()) if entry["stage"] == stage), {})


def succeeded(status: Object) -> bool:
    """Whether a run has succeeded."""
    return condition(status, "Succeeded") == "True"
