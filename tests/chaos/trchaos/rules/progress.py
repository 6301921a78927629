"""Progress: it never falls within an attempt, and at a resume only to the checkpoint; nothing older is resumed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from trchaos.rules.rule import Rule, Status, condition, entries, is_true, loses_data_set
from trchaos.rules.truth import CONDITION, RunFacts

if TYPE_CHECKING:
    from trchaos.rules.rule import Scene

SUMS: Final = ("interruptions", "stepsLost", "checkpointStep")  # of training, which never fall


class Progress(Rule):
    """What a user sees of the work."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._shown: dict[tuple[str, str, int], int] = {}  # newest `progress.done` by run, stage and attempt
        self._steps: dict[tuple[str, int], int] = {}  # newest `training.step` by run and attempt
        self._publications: dict[str, int] = {}  # how many results of each run have been looked at
        self._worked: dict[tuple[str, str, int], int] = {}  # how many pods an attempt had when it showed its work
        self._resumes: dict[str, int] = {}

    def stored(self, run: RunFacts, before: Status, now: Status) -> None:
        self._training(run, before.get("training") or {}, now.get("training") or {}, before, now)
        self._images(run, before, now)
        self._done(run, now)

    def look(self) -> None:
        """The bucket: one result of a stage, of its newest epoch, and resumes from the newest whole checkpoint."""
        for uid, bucket in self.scene.world.cluster.buckets.items():
            run = self.scene.truth.runs.get(uid)
            key = run.key if run is not None else uid
            for stage, epoch in bucket.published[self._publications.get(uid, 0) :]:
                # The claim of a later epoch of the same stage before this one published makes its result void.
                later = [life for life in bucket.lives if life.epoch > epoch]
                at = bucket.results[stage].at if stage in bucket.results else None
                if (
                    at is not None
                    and bucket.results[stage].epoch == epoch
                    and any(life.started_at < at for life in later)
                ):
                    self.scene.broken(
                        "one epoch's result wins", key, f"{stage}: epoch {epoch} published after a later one"
                    )
            self._publications[uid] = len(bucket.published)
            for step, newest in bucket.resumed[self._resumes.get(uid, 0) :]:
                if step < newest:
                    self.scene.broken("resume from the newest checkpoint", key, f"step {step}, newest {newest}")
            self._resumes[uid] = len(bucket.resumed)

    def finish(self) -> None:
        self.look()

    def _training(
        self, run: RunFacts, old: Mapping[str, Any], new: Mapping[str, Any], before: Status, now: Status
    ) -> None:
        for name in SUMS:
            if new.get(name, 0) < old.get(name, 0):
                self.scene.broken("progress", run.key, f"training.{name} was {old[name]} and is {new.get(name)}")
        bucket = self.scene.world.cluster.buckets.get(run.uid)
        saved = bucket.newest_step(self.scene.now) if bucket is not None else 0
        if new.get("checkpointStep", 0) > saved:
            text = f"checkpoint {new['checkpointStep']} is shown, and the newest in the bucket is {saved}"
            self.scene.broken("progress", run.key, text)
        number = entries(now).get("train", {}).get("number", 0)
        step, shown = new.get("step", 0), self._steps.get((run.uid, number))
        begins = number != entries(before).get("train", {}).get("number", 0)
        if begins or (step == old.get("step", 0) and shown is None):
            return  # what the attempt before has reached
        begun = [life.from_step for life in bucket.lives if life.stage == "train"] if bucket is not None else []
        if shown is None and step < old.get("step", 0) and not any(step >= first for first in begun):
            self.scene.broken("progress", run.key, f"step {step} is before every checkpoint that was resumed from")
        # A Job that something else resumes has another pod in the same attempt, which is seen some steps later.
        again = len(run.pods_of("train", number)) > 1 and any(step >= first for first in begun)
        if shown is not None and step < shown and step not in begun and not again:
            self.scene.broken("progress", run.key, f"attempt {number} of train: step {shown} became {step}")
        self._steps[run.uid, number] = step

    def _images(self, run: RunFacts, before: Status, now: Status) -> None:
        old, new = ((status.get("dataset") or {}).get("savedImages", 0) for status in (before, now))
        again = is_true(before, "Prepared") or loses_data_set(before, now)
        if new < old and not again and not is_true(now, "Prepared"):
            self.scene.broken("progress", run.key, f"dataset.savedImages was {old} and is {new}")

    def _done(self, run: RunFacts, now: Status) -> None:
        progress = now.get("progress") or {}
        stage, done = progress.get("stage"), progress.get("done")
        if stage is None:
            return
        if done is None:
            self._falls_back(run, stage, now)
            return
        place = (run.uid, f"{stage} {progress.get('unit')}", entries(now).get(stage, {}).get("number", 0))
        pods = [p for p in run.pods_of(stage, place[2]) if (q := self.scene.truth.played(p)) is not None and q.began]
        if not pods and place[2] > 1:
            return  # the status still shows what the attempt before has reached
        if done < self._shown.get(place, 0) and len(pods) < 2:  # a Job that something else suspends has several pods
            text = f"attempt {place[2]} of {place[1]}: {self._shown[place]} became {done}"
            self.scene.broken("progress", run.key, text)
        self._shown[place] = done
        self._worked.setdefault((run.uid, stage, place[2]), len(run.pods_of(stage, place[2])))

    def _falls_back(self, run: RunFacts, stage: str, now: Status) -> None:
        """An attempt that runs and has shown how far it is does not show again that it starts."""
        number = entries(now).get(stage, {}).get("number", 0)
        pods = self._worked.get((run.uid, stage, number))
        running = condition(now, CONDITION[stage]).get("reason") == "Running"
        if running and pods is not None and len(run.pods_of(stage, number)) == pods:
            self.scene.broken("progress", run.key, f"attempt {number} of {stage} starts again: {now.get('message')}")
