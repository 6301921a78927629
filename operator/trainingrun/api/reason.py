"""What an entry of the table of reasons holds: what a reason means, and which step helps.

Invariant: the step can be taken. After creation only the fields in `MUTABLE` can change, so a changed field is a step
of kind `newRun` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

# Fields of the spec that the API server lets users change on an existing TrainingRun.
MUTABLE: Final = ("suspend", "finish", "retry", "tensorboard", "ttlSecondsAfterFinished")
# Values for hints where the table is shown.
_EXAMPLES: Final = {
    "memory": "spec.train.pod.resources.limits.memory: 2Gi (now 1Gi)",
    "batch": ", or with spec.train.batchSize: 12 (now 24)",
    "steps": ", or create a new TrainingRun with spec.prep.pod.resources (limits.cpu)",
    "scratch": "spec.prep.scratch: 40Gi (now 20Gi)",
    "account": "trainingrun-s3",
    "setting": "policy.images (or secretNames, endpoints, tolerations …)",
}


class Step(StrEnum):
    """Kinds of a next step, as in images/contracts/verdict.schema.json."""

    RETRY = "retry"  # change something outside of the run, then raise spec.retry
    NEW_RUN = "newRun"  # only a new TrainingRun can end otherwise
    PLATFORM = "platform"  # the platform team has to change something, then raise spec.retry
    WAIT = "wait"  # the run goes on by itself, at the latest when the cause is gone


class Group(StrEnum):
    """Where a reason shows; docs/reasons.md has a section for each."""

    REFUSED = "refused"  # Accepted=False, or the API server refuses a Job, Deployment or Service of the run
    WAITING = "waiting"  # the condition of a stage, while its pod does not start
    ENDED = "ended"  # the end of an attempt
    PROGRESS = "progress"  # nothing is wrong


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, or one case of it: cases have the name and the meaning of their reason.

    `name` is CamelCase and API. `hint` is a template of `str.format`. `fields` are paths below `spec` that the reason
    is about; `stage.` at the beginning stands for the stage that runs. `ends_run`: whether a run can fail with it.
    """

    name: str
    group: Group
    meaning: str
    step: Step | None = Step.WAIT
    hint: str = ""
    fields: tuple[str, ...] = ()
    ends_run: bool = False

    def case(self, hint: str, *, step: Step | None = None, fields: tuple[str, ...] | None = None) -> Reason:
        """Return the same reason with another next step."""
        return replace(
            self,
            hint=hint,
            step=self.step if step is None else step,
            fields=self.fields if fields is None else fields,
        )

    def hint_with(self, **values: str) -> str:
        """Return the hint with these values; `<name>` stands for a value that is not given."""
        return self.hint.format_map(_Values(values))


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def to_json(reason: Reason, *others: Reason) -> Mapping[str, object]:
    """Return an entry as plain data, with the other cases of the same name, as the agent's table exports its own."""
    return {
        "name": reason.name,
        "outcome": str(reason.group),
        "raisedBy": "operator",
        "meaning": reason.meaning,
        "message": "",
        **_next_step(reason),
        "cases": [{"message": "", **_next_step(other)} for other in others],
    }


def _next_step(reason: Reason) -> Mapping[str, object]:
    return {"kind": str(reason.step or ""), "fields": list(reason.fields), "hint": reason.hint_with(**_EXAMPLES)}
