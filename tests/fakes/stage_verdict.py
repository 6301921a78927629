"""Run a stage as the runner does, without its process, signals and HTTP server."""

from __future__ import annotations

from typing import Protocol

from trainingrun_agent.context import StageContext
from trainingrun_agent.runner import conclude
from trainingrun_agent.verdict import StageResult, Verdict


class Stage(Protocol):
    """A module of trainingrun_agent.stages."""

    def run(self, context: StageContext) -> StageResult:
        """Do the work of the stage."""


def verdict_of(stage: Stage, context: StageContext) -> Verdict:
    """Run the stage and make its verdict."""
    return conclude(lambda: stage.run(context), stage=context.config.stage, record=context.record)
