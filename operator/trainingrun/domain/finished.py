"""What remains to do after an end: reopen or expire a run, delete Jobs whose results or logs are no longer needed."""

from __future__ import annotations

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import Phase
from trainingrun.api.settings import Settings
from trainingrun.domain import attempts
from trainingrun.domain.decision import Child, Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.lost_results import reopen_lost
from trainingrun.domain.observe import JobView


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
    """Delete a finished run once its `ttlSecondsAfterFinished` has passed."""
    draft = decision.draft
    ttl = draft.run.spec.get("ttlSecondsAfterFinished")
    if ttl is None:
        return
    left = ttl - (clock.seconds_between(draft.status.get("finishedAt"), draft.now_text) or 0)
    decision.delete_run = left <= 0
    if left > 0:
        decision.requeue(after=left)


def delete_ended_jobs(decision: Decision, *, jobs: tuple[JobView, ...], settings: Settings) -> None:
    """Delete the Job of a stage that is done, and Jobs of failed attempts after `failedJobsTTLSeconds`."""
    draft = decision.draft
    already_deleted = {child.uid for child in decision.delete}
    for job in jobs:
        entry = draft.attempts(job.stage)
        if job.deleting or job.uid in already_deleted or job.attempt > entry.get("ended", 0):
            continue
        age = clock.seconds_between(job.finished_at, draft.now_text) or 0
        succeeded = draft.stage_done(job.stage) and job.attempt == entry["number"]
        if succeeded or (job.finished and age >= settings.failed_jobs_ttl_seconds):
            decision.delete_after_status.append(Child("Job", job.name, job.uid))
        elif job.finished:
            decision.requeue(after=settings.failed_jobs_ttl_seconds - age)
