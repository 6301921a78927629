"""The error for a spec that the API server accepted and the operator refuses."""

from __future__ import annotations

from dataclasses import dataclass

from trainingrun.api.reason import Reason, Step
from trainingrun.domain.next_step import NextStep
from trainingrun.domain.texts import sentences


@dataclass(eq=False)  # not frozen: Python writes the traceback into every exception that passes a `with`
class NotAcceptedError(Exception):
    """The spec cannot run now; `setting` is the operator's setting that refuses it, if one does."""

    reason: Reason
    message: str
    setting: str = ""

    @property
    def waits(self) -> bool:
        """Whether this can change without the user, as when another run finishes."""
        return self.reason.step is Step.WAIT

    @property
    def step(self) -> NextStep:
        """The next step that can help."""
        return NextStep(self.reason.step or Step.NEW_RUN, self.reason.hint_with(setting=self.setting))

    @property
    def full(self) -> str:
        """The message with the next step, without commands."""
        return sentences(self.message, self.step.hint)
