"""What is left to do for a run that has ended: reopen, expire, tidy up."""

from __future__ import annotations

from trainingrun.api import clock, conditions
from trainingrun.api.names import Phase
from trainingrun.api.settings import Settings
from trainingrun.domain import attempts
from trainingrun.domain.actions import Child, Plan
from trainingrun.domain.observe import JobView


def plan_finished(plan: Plan, *, jobs: tuple[JobView, ...], settings: Settings) -> bool:
    """Tidy up after an ended run; return True when `spec.retry` was raised and the run is open again."""
    draft = plan.draft
    if _reopened(plan):
        return True
    clean_failed_jobs(plan, jobs=jobs, settings=settings)
    ttl = draft.run.spec.get("ttlSecondsAfterFinished")
    if ttl is not None:
        left = ttl - (clock.seconds_between(draft.status.get("finishedAt"), draft.now_text) or 0)
        plan.delete_run = left <= 0
        if left > 0:
            plan.again(left)
    return False


def clean_failed_jobs(plan: Plan, *, jobs: tuple[JobView, ...], settings: Settings) -> None:
    """Delete Jobs of failed attempts once their logs had their day."""
    for job in jobs:
        counted = job.attempt <= plan.draft.entry("attempts", job.stage).get("ended", 0)
        if not job.finished or not counted or job.deleting:
            continue
        age = clock.seconds_between(job.finished_at, plan.draft.now_text) or 0
        done = plan.draft.stage_done(job.stage) and job.finished == "Complete"
        if done or age >= settings.failed_jobs_ttl_seconds:
            plan.cleanup.append(Child("Job", job.name, job.uid))
        else:
            plan.again(settings.failed_jobs_ttl_seconds - age)


def _reopened(plan: Plan) -> bool:
    draft = plan.draft
    wanted = int(draft.run.spec.get("retry", 0))
    if wanted <= int(draft.status.get("retry", 0)) or draft.is_true(conditions.SUCCEEDED):
        return False
    attempts.reopen(draft)
    draft.status["retry"] = wanted
    draft.status.pop("finishedAt", None)
    message = f"Opened again by spec.retry {wanted}."
    draft.condition(conditions.FINISHED, False, reason="Retry", message=message)
    draft.condition(conditions.SUCCEEDED, None, reason="Retry", message=message)
    draft.say(Phase.PENDING, message=message, updated=draft.now_text)
    draft.note("Retry", message)
    return True
