"""One stage of an accepted run, with what decisions about it need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trainingrun.api import conditions
from trainingrun.api.names import STAGE_PHASE, Phase, Stage, resolved_name
from trainingrun.api.reason import Reason
from trainingrun.api.settings import Settings
from trainingrun.api.status import Condition, StageAttempts
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import Observed
from trainingrun.domain.resolve import Resolved

RECHECK_SECONDS: Final = 3  # while a pod or its end is waited for


@dataclass(frozen=True, slots=True)
class StageContext:
    """The stage, the facts, and the decision that is being made."""

    stage: Stage
    decision: Decision
    observed: Observed
    resolved: Resolved
    settings: Settings

    @property
    def draft(self) -> Draft:
        """The status being written."""
        return self.decision.draft

    @property
    def done(self) -> bool:
        """Whether the stage's result is in the bucket."""
        return self.draft.stage_done(self.stage)

    @property
    def attempts(self) -> StageAttempts:
        """The stage's entry in `status.attempts`."""
        return self.draft.attempts(self.stage)

    @property
    def digest(self) -> str:
        """Digest of the resolved document, which pods are told."""
        return self.draft.status.get("resolvedDigest", "")

    @property
    def undecided(self) -> bool:
        """Whether Jobs have to be read before anything is decided."""
        return bool(self.decision.read_jobs)

    @property
    def document_name(self) -> str:
        """Name of the ConfigMap that pods mount."""
        return resolved_name(self.draft.run.name, uid=self.draft.run.uid)

    @property
    def phase(self) -> Phase:
        """The phase of the run while this stage is not done."""
        return STAGE_PHASE[self.stage]

    @property
    def suspended(self) -> bool:
        """Whether `spec.suspend` is true."""
        return bool(self.draft.run.spec.get("suspend"))

    @property
    def reason(self) -> str:
        """Reason of the stage's condition; empty before it is set."""
        return self._condition["reason"] if self._condition else ""

    @property
    def message(self) -> str:
        """Message of the stage's condition; empty before it is set."""
        return self._condition["message"] if self._condition else ""

    @property
    def _condition(self) -> Condition | None:
        return conditions.find(self.draft.status["conditions"], conditions.STAGE_CONDITION[self.stage])

    def set_not_done(self, *, reason: Reason, message: str) -> bool:
        """Set the stage's condition to False; return whether status or reason changed."""
        kind = conditions.STAGE_CONDITION[self.stage]
        return self.draft.set_condition(kind, False, reason=reason, message=message)

    def show(self, message: str, *, text: str | None = None) -> None:
        """Show the stage's phase with a message; `text` is for the Progress column, by default the message."""
        self.draft.show(self.phase, message=message, text=text, stage=self.stage)
