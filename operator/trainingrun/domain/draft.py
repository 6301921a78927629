"""The status being written: one mutable copy per reconcile, with the Events that follow it.

Invariant: it starts from what the server holds, so what nobody touches stays as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trainingrun.api import clock, conditions
from trainingrun.api.names import Phase, Stage
from trainingrun.api.run import Run
from trainingrun.domain import reported

# Together these keep the whole status below 8 KiB.
MAX_MESSAGE = 690  # of the run, and of the condition Succeeded
MAX_HINT = 300  # of them for the next step, which is worth more than the end of the story
MAX_CAUSE = 360  # of other conditions
MAX_SUMMARY = 200  # of a stage that is done
MAX_LAST = 200  # of the last attempt of a stage
MAX_TEXT = 80  # of the Progress column: one long cell would push the others of the whole table off the screen
MAX_EVENT = 1000


@dataclass(frozen=True, slots=True)
class Note:
    """A Kubernetes Event to emit once the status is stored."""

    kind: str  # Normal or Warning
    reason: str
    message: str


@dataclass(slots=True)
class Draft:
    """Status of one run at one moment."""

    run: Run
    now: datetime
    status: dict[str, Any] = field(init=False)
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = copy.deepcopy(dict(self.run.status))
        self.status["observedGeneration"] = self.run.generation
        for condition in self.status.setdefault("conditions", []):
            # `kubectl wait` passes over a condition of an older generation; this reconcile judges all of them.
            condition["observedGeneration"] = self.run.generation
        self.status.setdefault("startedAt", self.now_text)

    @property
    def now_text(self) -> str:
        """The moment of this reconcile."""
        return clock.to_text(self.now)

    def is_true(self, kind: str) -> bool:
        """Tell whether a condition is True."""
        return conditions.is_true(self.status["conditions"], kind)

    def stage_done(self, stage: Stage) -> bool:
        """A stage whose condition is True is never run again."""
        return self.is_true(conditions.STAGE_CONDITION[stage])

    def condition(self, kind: str, status: bool | None, *, reason: str, message: str) -> bool:  # noqa: FBT001
        """Set a condition (None is Unknown); return whether status or reason changed."""
        text = {True: "True", False: "False", None: "Unknown"}[status]
        return conditions.set_condition(
            self.status["conditions"],
            kind,
            status=text,
            reason=reported.reason(reason),
            message=message[: MAX_MESSAGE if kind == conditions.SUCCEEDED else MAX_CAUSE],
            generation=self.run.generation,
            now=self.now_text,
        )

    def note(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Emit an Event after the status is stored."""
        self.notes.append(Note("Warning" if warning else "Normal", reported.reason(reason), message[:MAX_EVENT]))

    def say(self, phase: Phase, *, message: str, text: str | None = None, **progress: Any) -> None:
        """Set phase, the one-line message and the Progress column; `progress` replaces `status.progress` if new."""
        self.status["phase"] = str(phase)
        self.status["message"] = message[:MAX_MESSAGE]
        new = {**progress, "text": (text or message)[:MAX_TEXT]}
        old = self.status.get("progress") or {}
        if {**old, "updated": None} == {**new, "updated": None}:
            return  # a new time alone is no news: writing it would bring the next reconcile, and so on for ever
        self.status["progress"] = new

    def merge(self, field_name: str, values: Mapping[str, Any]) -> None:
        """Write the given keys into an object of the status, keeping the others."""
        if values:
            self.status[field_name] = {**self.status.get(field_name, {}), **values}

    def entry(self, field_name: str, stage: Stage) -> dict[str, Any]:
        """Return the entry of a stage in a list-map of the status, made if absent."""
        entries: list[dict[str, Any]] = self.status.setdefault(field_name, [])
        for item in entries:
            if item.get("stage") == stage:
                return item
        item = {"stage": str(stage)}
        entries.append(item)
        return item

    def succeed(self) -> None:
        """End the run with all its results."""
        export = self.status.get("export", {})
        message = f"Exported checkpoint {export.get('checkpointStep')} with AP@.5 {export.get('ap50')}."
        text = f"Exported, AP@.5 {export.get('ap50')}"
        self._end(Phase.SUCCEEDED, succeeded=True, reason="Completed", message=message, text=text)
        self.note("Succeeded", message)

    def fail(self, *, reason: str, message: str, hint: str = "", phase: Phase | None = None) -> None:
        """End the run without, in `phase`; the message ends with the command that opens it again."""
        again = int(self.run.spec.get("retry", 0)) + 1
        command = (
            f"kubectl -n {self.run.namespace} patch trainingrun {self.run.name} --type merge "
            f'-p \'{{"spec":{{"retry":{again}}}}}\''
        )
        end = f"{sentences(cut(hint, MAX_HINT))} To try again: {command}".lstrip()
        full = f"{sentences(cut(message, MAX_MESSAGE - len(end) - 2))} {end}"
        text = f"{phase}: {reason}" if phase else reason
        self._end(Phase.FAILED, succeeded=False, reason=reason, message=full, text=text)
        self.note(reason, full, warning=True)

    def _end(self, phase: Phase, *, succeeded: bool, reason: str, message: str, text: str) -> None:
        self.condition(conditions.SUCCEEDED, succeeded, reason=reason, message=message)
        self.condition(conditions.FINISHED, True, reason=str(phase), message="The run has ended; see Succeeded.")
        self.status["finishedAt"] = self.now_text
        self.say(phase, message=message, text=text, updated=self.now_text)


def sentences(*parts: str) -> str:
    """Join messages into one text; each ends with a full stop unless it ends with a mark of its own."""
    whole = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part.endswith((".", "!", "?", "…")) else f"{part}." for part in whole)


def cut(text: str, limit: int) -> str:
    """Shorten a text so that one sees that it was."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
