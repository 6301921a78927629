"""What remains to do after the end of a run: reopen or expire it.

Invariant: a raised `spec.retry` is acted on or refused with an Event, and `status.retry` then holds its value. Until
then it is raised: a retry that came just before a failure reopens the run.
"""

from __future__ import annotations

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import Phase
from trainingrun.api.run import Run
from trainingrun.domain import attempts, deadline
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.lost_results import reopen_lost


def reopen_if_retried(draft: Draft) -> bool:
    """Reopen a failed run whose `spec.retry` was raised; return whether it was."""
    if not draft.retry_raised or draft.is_true(conditions.SUCCEEDED):
        return False
    attempts.reset_budgets(draft)
    reopen_lost(draft)
    wanted = draft.take_retry()
    draft.status.pop("finishedAt", None)
    deadline.start_again(draft)
    message = f"Reopened because spec.retry was raised to {wanted}."
    draft.set_condition(conditions.FINISHED, False, reason=reasons.RETRY, message=message)
    draft.set_condition(conditions.SUCCEEDED, None, reason=reasons.RETRY, message=message)
    draft.show(Phase.PENDING, message=message)
    draft.add_event(reasons.RETRY, message)
    return True


def refuse_retry(draft: Draft) -> None:
    """Say that a raised `spec.retry` has no effect, because the run has not failed."""
    if draft.status.get("retry", 0) >= draft.retry:
        return
    wanted = draft.take_retry()
    if draft.is_true(conditions.SUCCEEDED):
        then = "The run has succeeded: create a new TrainingRun to train again."
    else:
        then = f"The run has not failed. If it fails, raise spec.retry to {wanted + 1}."
    draft.add_event(reasons.RETRY_IGNORED, f"spec.retry {wanted} has no effect. {then}")


def rests(run: Run) -> bool:
    """Return whether nothing is left to do for a finished run, also not at a later time, as long as nothing changes."""
    return (
        conditions.is_true(run.status.get("conditions", []), conditions.FINISHED)
        and run.status.get("observedGeneration") == run.generation
        and run.spec.get("ttlSecondsAfterFinished") is None
        and "tensorboard" not in run.status
        and not run.deleting
    )


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
