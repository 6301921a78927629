"""What is left to do for what has ended: reopen or expire a run, delete Jobs that nobody needs any more."""

from __future__ import annotations

from trainingrun.api import clock, conditions
from trainingrun.api.names import Phase
from trainingrun.api.settings import Settings
from trainingrun.domain import attempts
from trainingrun.domain.actions import Child, Plan
from trainingrun.domain.observe import JobView


def plan_finished(plan: Plan) -> bool:
    """Let an ended run expire; return True when `spec.retry` was raised and the run is open again."""
    draft = plan.draft
    if _reopened(plan):
        return True
    ttl = draft.run.spec.get("ttlSecondsAfterFinished")
    if ttl is not None:
        left = ttl - (clock.seconds_between(draft.status.get("finishedAt"), draft.now_text) or 0)
        plan.delete_run = left <= 0
        if left > 0:
            plan.again(left)
    return False


def tidy_jobs(plan: Plan, *, jobs: tuple[JobView, ...], settings: Settings) -> None:
    """Delete the Job that made a stage's result, and those of failed attempts once their logs had their day."""
    leaving = {child.uid for child in plan.delete}
    for job in jobs:
        entry = plan.draft.entry("attempts", job.stage)
        if job.deleting or job.uid in leaving or job.attempt > entry.get("ended", 0):
            continue
        age = clock.seconds_between(job.finished_at, plan.draft.now_text) or 0
        succeeded = plan.draft.stage_done(job.stage) and job.attempt == entry["number"]
        if succeeded or (job.finished and age >= settings.failed_jobs_ttl_seconds):
            plan.cleanup.append(Child("Job", job.name, job.uid))
        elif job.finished:
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
