"""What remains to do after the end of a run: reopen or expire it."""

from __future__ import annotations

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import Phase
from trainingrun.domain import attempts
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.lost_results import reopen_lost


def reopen_if_retried(draft: Draft) -> bool:
    """Reopen a failed run whose `spec.retry` was raised; return whether it was."""
    wanted = int(draft.run.spec.get("retry", 0))
    if wanted <= int(draft.status.get("retry", 0)) or draft.is_true(conditions.SUCCEEDED):
        return False
    attempts.reset_budgets(draft)
    reopen_lost(draft)
    draft.status["retry"] = wanted
    draft.status.pop("finishedAt", None)
    message = f"Reopened because spec.retry was raised to {wanted}."
    draft.set_condition(conditions.FINISHED, False, reason=reasons.RETRY, message=message)
    draft.set_condition(conditions.SUCCEEDED, None, reason=reasons.RETRY, message=message)
    draft.show(Phase.PENDING, message=message)
    draft.add_event(reasons.RETRY, message)
    return True


def expire(decision: Decision) -> None:
    """Delete a finished run once its `ttlSecondsAfterFinished` has passed, and its end is stored and was reported."""
    draft = decision.draft
    ttl = draft.run.spec.get("ttlSecondsAfterFinished")
    if ttl is None:
        return
    left = ttl - (clock.seconds_between(draft.status.get("finishedAt"), draft.now_text) or 0)
    if left > 0 or not conditions.is_true(draft.run.status.get("conditions", []), conditions.FINISHED):
        decision.requeue(after=left)
    else:
        decision.delete_run = True
