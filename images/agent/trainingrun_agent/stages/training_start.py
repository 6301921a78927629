"""Reports what training starts from: how many variables were loaded from the pretrained weights, and what is new.

Invariant: the counts are those that the trainer read from its graph; only the reason why is the agent's.
"""

from __future__ import annotations

from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.log import logger
from trainingrun_agent.outgoing import outgoing
from trainingrun_agent.shared.trainer_documents import Restored
from trainingrun_agent.transfer.fetch import TrainInput

MAX_STARTS_ANEW = 250
_NOT_IN_WEIGHTS = "the weights have none of these names and shapes"


class TrainingStart:
    """The start of one attempt; `restored`, as in verdict.schema.json, is empty until the trainer has reported it."""

    def __init__(self, context: StageContext) -> None:
        self._progress, self._weights = context.progress, context.config.resolved.model.pretrained
        self._why_not_all = ""
        self.restored: dict[str, Any] = {}

    def of(self, found: TrainInput) -> None:
        """Set what was fetched for this attempt."""
        self._why_not_all = found.start.why if found.start else ""
        if found.resumed:
            logger.info("training resumes from the checkpoint of step %d", found.resumed_from)

    def observe(self, reported: Restored | None) -> None:
        """Log what the trainer reports and show it in progress, once; trainers before this one report nothing."""
        if reported is None or self.restored:
            return
        self.restored = {"loaded": reported.loaded, "total": reported.total}
        if reported.loaded < reported.total:
            self.restored["startsAnew"] = outgoing(self._starts_anew(reported))[:MAX_STARTS_ANEW]
        self._progress.update(restored=self.restored)
        self._log()

    def _starts_anew(self, reported: Restored) -> str:
        if self._weights is None:
            return "all variables, because spec.model.pretrained is not set"
        return f"{reported.starts_anew or 'some variables'}, because {self._why_not_all or _NOT_IN_WEIGHTS}"

    def _log(self) -> None:
        anew = self.restored.get("startsAnew")
        if self._weights is None:
            logger.info("training starts from random numbers: %s", anew)
            return
        text = f"training starts from {self._weights}: {self.restored['loaded']} of {self.restored['total']} variables"
        if anew is None:
            logger.info("%s", text)
        else:
            logger.warning("%s; new: %s", text, anew)
