"""The status being written: one mutable copy per reconcile, with the Events that follow it.

Invariant: it starts as a copy of what the API server holds, so fields that nobody writes are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import Phase, Stage
from trainingrun.api.reason import Reason
from trainingrun.api.run import Run
from trainingrun.api.status import Dataset, Export, Progress, StageAttempts, StageTimings, Status, Training
from trainingrun.domain import early_end, scores
from trainingrun.domain.next_step import NextStep, commands
from trainingrun.domain.texts import cut, sentences

# Together these keep the whole status below 8 KiB.
MAX_MESSAGE: Final = 690  # of the run, and of the condition Succeeded
MAX_HINT: Final = 300  # of the next step in it without commands, which matters more than the rest of the message
MAX_CAUSE: Final = 360  # of other conditions
MAX_SUMMARY: Final = 200  # of a stage that is done
MAX_LAST: Final = 170  # of the last attempt of a stage
MAX_TEXT: Final = 80  # of the Progress column: a long cell would push the other columns off the screen
MAX_EVENT: Final = 1000
_CONDITION_STATUS: Final[dict[bool | None, Literal["True", "False", "Unknown"]]] = {
    True: "True",
    False: "False",
    None: "Unknown",
}
_HOLDS_OTHERS: Final = (dict, list)
_ENDED: Final = {Phase.SUCCEEDED: reasons.SUCCEEDED, Phase.FAILED: reasons.FAILED}
BeforeEnd = tuple[StageAttempts, Training]  # of a stage: its attempts, and what training had reached
_Entry = TypeVar("_Entry", StageAttempts, StageTimings)


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event to emit once the status is stored; a wait has one, however often it is emitted."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str
    wait_since: str = ""  # of the Event of a wait


@dataclass(slots=True)
class Draft:
    """Status of one run at one moment."""

    run: Run
    now: datetime
    now_text: str = field(init=False)  # the moment of this reconcile, as the API writes it
    status: Status = field(init=False)
    events: list[Event] = field(default_factory=list)
    # Attempts and training as they were before the end of the attempt in flight was counted, by stage.
    before_end: dict[Stage, BeforeEnd] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now_text = clock.to_text(self.now)
        self.status = _copied(self.run.status)
        self.status["observedGeneration"] = self.run.generation
        for condition in self.status.setdefault("conditions", []):
            # `kubectl wait` ignores a condition of an older generation; this reconcile judges all of them.
            condition["observedGeneration"] = self.run.generation
        self.status.setdefault("startedAt", self.now_text)

    @property
    def retry(self) -> int:
        """The value of `spec.retry`."""
        return int(self.run.spec.get("retry", 0))

    @property
    def retry_raised(self) -> bool:
        """Whether `spec.retry` was raised since the operator last acted on it or refused it."""
        return self.retry > int(self.run.status.get("retry", 0))

    def take_retry(self) -> int:
        """Record that the value of `spec.retry` was acted on or refused; return it."""
        self.status["retry"] = self.retry
        return self.retry

    def is_true(self, kind: str) -> bool:
        """Return whether a condition is True."""
        return conditions.is_true(self.status["conditions"], kind)

    def stage_done(self, stage: Stage) -> bool:
        """Return whether the stage's condition is True; then it is never run again."""
        return self.is_true(conditions.STAGE_CONDITION[stage])

    def set_condition(self, kind: str, status: bool | None, *, reason: Reason, message: str) -> bool:  # noqa: FBT001
        """Set a condition (None is Unknown); return whether status or reason changed."""
        return conditions.set_condition(
            self.status["conditions"],
            kind,
            status=_CONDITION_STATUS[status],
            reason=reason,
            message=cut(message, MAX_MESSAGE if kind == conditions.SUCCEEDED else MAX_CAUSE),
            generation=self.run.generation,
            now=self.now_text,
        )

    def add_event(self, reason: Reason, message: str, *, warning: bool = False) -> None:
        """Emit an Event after the status is stored."""
        self.events.append(Event("Warning" if warning else "Normal", reason.name, cut(message, MAX_EVENT)))

    def show(
        self,
        phase: Phase,
        *,
        message: str,
        text: str | None = None,
        stage: Stage | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Set phase, message and the Progress column (`text`, by default the message) with other progress."""
        self.status["phase"] = phase.value
        self.status["message"] = cut(message, MAX_MESSAGE)
        new: Progress = {"updated": self.now_text, **(progress or {}), "text": cut(text or message, MAX_TEXT)}
        if stage is not None:
            new["stage"] = stage.value
        stored = self.run.status.get("progress") or {}
        # Writing a new time alone would cause the next reconcile, and so on without end.
        self.status["progress"] = stored if {**stored, "updated": ""} == {**new, "updated": ""} else new

    def keep_shown(self) -> None:
        """Show what the stored status shows."""
        stored = self.run.status
        self.status["phase"], self.status["message"] = stored["phase"], stored["message"]
        self.status["progress"] = stored["progress"]

    def keep_before_end(self, stage: Stage) -> None:
        """Keep what the status says of a stage whose attempt in flight is about to be recorded as ended."""
        self.before_end[stage] = _copied(self.attempts(stage)), _copied(self.status.get("training", {}))

    def update_dataset(self, values: Dataset) -> None:
        """Write these fields of `status.dataset`, keeping the others."""
        if values:
            self.status.setdefault("dataset", {}).update(values)

    def update_training(self, values: Training) -> None:
        """Write these fields of `status.training`, keeping the others; an agent knows only some of the lost steps."""
        if values:
            known = self.status.setdefault("training", {})
            lost = max(known.get("stepsLost", 0), values.get("stepsLost", 0))
            known.update(values)
            if "stepsLost" in known:
                known["stepsLost"] = lost

    def update_export(self, values: Export) -> None:
        """Write these fields of `status.export`, keeping the others."""
        if values:
            self.status.setdefault("export", {}).update(values)

    def attempts(self, stage: Stage) -> StageAttempts:
        """Return the stage's entry in `status.attempts`, added if there is none."""
        return _entry_of(self.status.setdefault("attempts", []), stage)

    def record_job(self, stage: Stage, uid: str) -> None:
        """Write which Job is the attempt in flight: until it ends, only this one and its pods are believed."""
        entry = self.attempts(stage)
        if entry.get("jobUID") != uid:
            entry.pop("ranAt", None)  # it is of another Job: a version before this field leaves it where it is
        entry["jobUID"] = uid

    def timings(self, stage: Stage) -> StageTimings:
        """Return the stage's entry in `status.timings`, added if there is none."""
        return _entry_of(self.status.setdefault("timings", []), stage)

    def succeed(self) -> None:
        """End the run with all its results."""
        export, training = self.status.get("export", {}), self.status.get("training", {})
        qualified = conditions.find(self.status["conditions"], conditions.QUALIFIED)
        missed = qualified is not None and qualified["status"] == "False"
        seen = scores.seen_in_training(self.status.get("dataset", {}))
        message = sentences(
            scores.exported(export),
            early_end.text(training, spec=self.run.spec),
            "It misses spec.export.gate: see the condition Qualified" if missed else "",
            f"{seen}: the score says little about other images" if seen else "",
        )
        text = f"Exported, AP@.5 {export.get('ap50')}"
        reason = early_end.reason_of_run(training)
        self._end(Phase.SUCCEEDED, succeeded=True, reason=reason, message=message, text=text)
        self.add_event(reasons.SUCCEEDED, message)

    def fail(self, *, reason: Reason, message: str, step: NextStep, phase: Phase | None = None) -> None:
        """End the run as failed, showing `phase`; the message ends with the next step and its commands."""
        end = sentences(cut(step.hint, MAX_HINT)) + f" {commands(self.run, step)}"
        full = f"{sentences(cut(message, MAX_MESSAGE - len(end) - 2))} {end.lstrip()}"
        text = f"{phase}: {reason.name}" if phase else reason.name
        self._end(Phase.FAILED, succeeded=False, reason=reason, message=full, text=text)
        self.add_event(reason, full, warning=True)

    def _end(self, phase: Phase, *, succeeded: bool, reason: Reason, message: str, text: str) -> None:
        self.set_condition(conditions.SUCCEEDED, succeeded, reason=reason, message=message)
        if not succeeded and conditions.find(self.status["conditions"], conditions.QUALIFIED) is not None:
            no_export = "The run has failed: there is no export to compare with spec.export.gate."
            self.set_condition(conditions.QUALIFIED, None, reason=reasons.FAILED, message=no_export)
        self.set_condition(conditions.FINISHED, True, reason=_ENDED[phase], message="The run has ended; see Succeeded.")
        self.status["finishedAt"] = self.now_text
        self.show(phase, message=message, text=text)


def _entry_of(entries: list[_Entry], stage: Stage) -> _Entry:
    for entry in entries:
        if entry.get("stage") == stage:
            return entry
    entries.append({"stage": stage.value})
    return entries[-1]


def _copied(value: Any) -> Any:
    """Copy a JSON document; copy.deepcopy takes six times as long."""
    if isinstance(value, dict):
        return {key: _copied(item) if isinstance(item, _HOLDS_OTHERS) else item for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
