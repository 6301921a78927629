"""What the next attempt of training does otherwise after a failure, and how often failures of training are retried.

train.onDivergence and train.onOutOfMemory change the learning rate or the batch of all attempts that follow.
train.retries replaces the budgets of the table in verdicts.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.domain import reported
from trainingrun.domain.stage import StageContext
from trainingrun.domain.verdicts import POLICIES, Outcome, Verdict

ROLLBACK_FACTOR: Final = 0.5


def budget(context: StageContext, verdict: Verdict) -> int:
    """How often an attempt may be retried that ended like this."""
    usual = POLICIES[verdict.outcome].retries
    if context.stage is not Stage.TRAIN:
        return usual
    train = _train(context)
    if _rolls_back(context, verdict):
        return usual + 1
    asked = reported.count((train.get("retries") or {}).get(verdict.outcome.value))
    if asked is not None:
        return asked
    if verdict.outcome is Outcome.OUT_OF_MEMORY and train.get("onOutOfMemory") == "HalveBatch":
        return max(usual, _asked_batch(context).bit_length() - 1)  # until the batch is one image
    return usual


def change_next(context: StageContext, verdict: Verdict) -> str:
    """Change what the attempts that follow do, as the spec asks; return what changes, in words, or nothing."""
    if context.stage is not Stage.TRAIN:
        return ""
    if _rolls_back(context, verdict):
        return _lower_rate(context)
    if _halves(context, verdict):
        before = _batch(context)
        context.draft.update_training({"batchSize": before // 2})
        return f"The next attempt has batch size {before // 2} instead of {before} (train.onOutOfMemory: HalveBatch)."
    return ""


def _lower_rate(context: StageContext) -> str:
    """Halve the learning rate, once in the life of a run."""
    before = str(_train(context).get("learningRate", ""))
    context.draft.update_training({"learningRateFactor": ROLLBACK_FACTOR})
    how = "half the learning rate"
    try:
        now = f"{Decimal(before) * Decimal(str(ROLLBACK_FACTOR)):f}"[:16]
    except InvalidOperation:
        pass
    else:
        context.draft.update_training({"learningRate": now})
        how = f"learning rate {now} instead of {before}"
    saved = "checkpointStep" in context.draft.status["training"]
    begins = "goes on from the last good checkpoint" if saved else "starts again, because no checkpoint is saved yet,"
    return f"The next attempt {begins} with {how} (train.onDivergence: Rollback)."


def _rolls_back(context: StageContext, verdict: Verdict) -> bool:
    once = "learningRateFactor" not in context.draft.status.get("training", {})
    return verdict.outcome is Outcome.DIVERGED and _train(context).get("onDivergence") == "Rollback" and once


def _halves(context: StageContext, verdict: Verdict) -> bool:
    """Whether a smaller batch may help: it is no help for the agent, which holds no batch."""
    if verdict.outcome is not Outcome.OUT_OF_MEMORY or verdict.reason is reasons.OOM_KILLED_AGENT:
        return False
    return _train(context).get("onOutOfMemory") == "HalveBatch" and _batch(context) > 1


def _batch(context: StageContext) -> int:
    return context.draft.status.get("training", {}).get("batchSize") or _asked_batch(context)


def _asked_batch(context: StageContext) -> int:
    return reported.count(_train(context).get("batchSize")) or 1


def _train(context: StageContext) -> Mapping[str, Any]:
    """The document's part; without the document the spec's, which cannot change either."""
    found: Mapping[str, Any] = context.resolved.get("train") or context.draft.run.spec.get("train") or {}
    return found
