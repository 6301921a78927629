"""Fetches the checkpoint that spec.export.checkpoint asks for.

Invariant: what is returned was downloaded whole, and its scores are those of exactly this checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.exporting import EXPORT_CHECKPOINT_NOT_FOUND
from trainingrun_agent.reasons.pods import CHECKPOINT_MISSING
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.terms import Place
from trainingrun_agent.transfer.evaluations import Evaluation, by_checkpoint, stored_evaluations
from trainingrun_agent.transfer.export_choice import ExportChoice
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.resume import restore, stored_checkpoints


@dataclass(frozen=True)
class ChosenCheckpoint:
    """The checkpoint of `step`, why it is exported, and its scores in training, None where it was not evaluated."""

    step: int
    reason: str
    evaluation: Evaluation | None


def fetch_chosen(context: StageContext, into: Folder, *, epoch: int, meter: Meter) -> ChosenCheckpoint:
    """Download the checkpoint to export. Raises UserError for a step that is not there, StageError without any."""
    choice = _choice(context, epoch)
    chosen = restore(context.out, choice.candidates, into, meter)
    if chosen is None:
        raise _missing(context, choice)
    reason = choice.reason(chosen)
    as_wanted = chosen == choice.candidates[0] and (choice.wanted != "best" or chosen in choice.evaluations)
    (logger.info if as_wanted else logger.warning)("exporting the checkpoint of step %d: %s", chosen.step, reason)
    return ChosenCheckpoint(chosen.step, reason, choice.evaluations.get(chosen))


def scores_in_training(chosen: ChosenCheckpoint, trained: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """AP@.5 and mAP that training measured of this checkpoint, as far as they are known.

    `trained` are the numbers of trained.json: they have the scores of its last checkpoint, and are all that there is
    from a trainer that lists no evaluations.
    """
    if chosen.evaluation is not None:
        return chosen.evaluation.ap50, chosen.evaluation.mean_ap
    if trained.get("checkpointStep") != chosen.step:
        return None, None
    ap50, mean_ap = (trained.get(name) for name in ("ap50", "mAP"))
    return (ap50 if isinstance(ap50, float | int) else None), (mean_ap if isinstance(mean_ap, float | int) else None)


def _choice(context: StageContext, epoch: int) -> ExportChoice:
    resolved = context.config.resolved
    checkpoints = stored_checkpoints(context.out, resolved.run_keys, before_epoch=epoch)
    evaluations = stored_evaluations(context.out, resolved.run_keys, before_epoch=epoch)
    return ExportChoice(
        resolved.export.checkpoint, resolved.train.metric, checkpoints, by_checkpoint(checkpoints, evaluations)
    )


def _missing(context: StageContext, choice: ExportChoice) -> StageError:
    there = choice.steps_there()
    if isinstance(choice.wanted, int) and there:
        return UserError(EXPORT_CHECKPOINT_NOT_FOUND, step=choice.wanted, there=there)
    attempts = f"{context.config.resolved.run_keys.attempts('train')}/"
    return StageError(CHECKPOINT_MISSING, place=Place(context.out.bucket, attempts))
