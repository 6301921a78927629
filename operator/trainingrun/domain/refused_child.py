"""Show that the API server does not create an object of the run: for now, for good, or one the run continues without.

Only a refusal that names a field of the object as the operator sent it is for good. All others come from around the
run: rights, a quota, an admission policy or webhook, another object of that name. The run waits for their end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from trainingrun.api import conditions, reasons
from trainingrun.api.names import LABEL_STAGE, Stage
from trainingrun.api.reason import Step
from trainingrun.api.status import AttemptEnd
from trainingrun.domain import attempts, history
from trainingrun.domain.draft import MAX_CAUSE, Draft, Event
from trainingrun.domain.history import REPLACED
from trainingrun.domain.next_step import NextStep
from trainingrun.domain.texts import cut, sentences

_PREFACE: Final = re.compile(r'^\S+ "[^"]*" is (forbidden|invalid): ')  # names the object again


@dataclass(frozen=True, slots=True)
class RefusedChild:
    """A child that is not created now, and why; `words` may be of anyone's policy."""

    kind: str
    name: str
    words: str

    @classmethod
    def of(cls, body: Mapping[str, Any], words: str) -> Self:
        """Return the refusal of the object that was to be created."""
        return cls(body["kind"], body["metadata"]["name"], words)

    def text(self, limit: int) -> str:
        """The refusal and the next step, which is kept whole when the words have to be cut."""
        hint = reasons.CREATION_REFUSED.hint
        what = f"{self.kind} {self.name} cannot be created yet: {_PREFACE.sub('', self.words)}"
        return sentences(cut(what, limit - len(hint) - 2), hint)


def fail_as_invalid(draft: Draft, body: Mapping[str, Any], *, words: str) -> None:
    """End the run: the API server will never take this object."""
    message = f"The API server calls {body['kind']} {body['metadata']['name']} invalid: {words}"
    stage = body["metadata"].get("labels", {}).get(LABEL_STAGE)
    if stage:
        kind = conditions.STAGE_CONDITION[Stage(stage)]
        draft.set_condition(kind, False, reason=reasons.CHILD_REFUSED, message=message)
        _end_unmade(draft, Stage(stage))
    draft.fail(reason=reasons.CHILD_REFUSED, message=message, step=NextStep(Step.NEW_RUN, reasons.CHILD_REFUSED.hint))
    history.fit(draft.status)


def _end_unmade(draft: Draft, stage: Stage) -> None:
    """Record the end of an attempt that has no Job, as far as is known, so that none is in flight.

    It has no results, so that its end may be recovered alone.
    """
    draft.before_end.pop(stage, None)
    entry = draft.attempts(stage)
    end = AttemptEnd(
        number=entry["number"], endedAt=draft.now_text, outcome=REPLACED, reason=reasons.CHILD_REFUSED.name
    )
    history.add(entry, end)
    attempts.end(draft, stage)


def without_tensorboard(words: str) -> str:
    """Return the message about a TensorBoard that is not there."""
    return f"The run continues without TensorBoard: {words}"


def deletion_refused(kind: str, name: str, *, words: str) -> Event:
    """Return the Event about an object that has to go and stays."""
    reason = reasons.DELETION_REFUSED
    what = cut(f"{kind} {name} cannot be deleted yet: {words}", MAX_CAUSE)
    return Event("Warning", reason.name, sentences(what, reason.hint))
