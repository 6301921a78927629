"""What a table of reasons holds: what an end means, and which step helps.

Invariant: a step that is offered can be taken. The spec of a TrainingRun cannot change after creation, so a hint
changes a field by `{change[…]}` or a `Change` only, which says that this needs a new TrainingRun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from trainingrun_agent.terms import TRAININGRUN, Terms


class Outcome(StrEnum):
    """Outcomes of a verdict, as in images/contracts/verdict.schema.json."""

    SUCCEEDED = "succeeded"
    USER_ERROR = "userError"
    STORAGE_REFUSED = "storageRefused"
    STORAGE_OUTAGE = "storageOutage"
    DIVERGED = "diverged"
    STALLED = "stalled"
    OUT_OF_MEMORY = "outOfMemory"
    DISK_FULL = "diskFull"
    INTERRUPTED = "interrupted"
    CRASH = "crash"
    GPU_UNFIT = "gpuUnfit"


class Step(StrEnum):
    """Kinds of a next step, as in images/contracts/verdict.schema.json."""

    RETRY = "retry"
    """Change something outside of the run, then raise spec.retry."""
    NEW_RUN = "newRun"
    """Only a new TrainingRun, with a changed field where one is named, can end otherwise."""
    PLATFORM = "platform"
    """The operator's settings, an image, a node or the storage server need a change."""
    WAIT = "wait"
    """Nothing to do: the run goes on by itself."""


RaisedBy = Literal["agent", "trainer"]


@dataclass(frozen=True)
class Reason:
    """One reason, or one case of it: cases have the name, outcome and meaning of their reason.

    `name` is CamelCase and API: it becomes the reason of a condition. `message` and `hint` are templates (terms.py).
    `fields` are the paths below `spec` that it is about, the one to change first.
    """

    name: str
    outcome: Outcome
    step: Step
    message: str
    hint: str
    meaning: str
    fields: tuple[str, ...] = ()
    raised_by: RaisedBy = "agent"
    suggest: Callable[[Any], object] | None = None
    """A value to try for the first field, from its value now; None where there is none."""
    example: Mapping[str, object] = field(default_factory=dict, compare=False)
    """Values for the templates where the table is shown."""

    def case(
        self,
        *,
        message: str | None = None,
        hint: str | None = None,
        step: Step | None = None,
        fields: tuple[str, ...] | None = None,
    ) -> Reason:
        """The same reason, seen elsewhere: what is given differs."""
        given = {"message": message, "hint": hint, "step": step, "fields": fields}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if fields is not None:
            changes["suggest"] = None  # it is for the field that was first
        return replace(self, **changes)

    def to_json(self, terms: Terms = TRAININGRUN) -> dict[str, Any]:
        """As plain data; values that are only known when it happens are shown as `<name>`."""
        return {
            "name": self.name,
            "outcome": str(self.outcome),
            "raisedBy": self.raised_by,
            "meaning": self.meaning,
            "message": terms.fill_known(self.message, self.example),
            "kind": str(self.step),
            "fields": list(self.fields),
            "hint": sentence(terms.fill_known(self.hint, self.example)),
        }


def sentence(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"
