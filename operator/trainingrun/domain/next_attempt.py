"""Start the next attempt of a stage, or show why it has to wait."""

from __future__ import annotations

from datetime import datetime

from trainingrun.api import clock, reasons
from trainingrun.api.names import Phase, Stage, job_name
from trainingrun.builders.jobs import build_job
from trainingrun.domain import attempts
from trainingrun.domain.assess import is_lost
from trainingrun.domain.observe import PodView
from trainingrun.domain.progress import training_position
from trainingrun.domain.stage import RECHECK_SECONDS, StageContext


def start_attempt(context: StageContext, number: int) -> None:
    """Start attempt `number` unless the run is suspended, in back-off, or an earlier pod still runs."""
    retry_at = clock.parse(context.attempts.get("nextRetryAt"))
    earlier = [
        pod for pod in context.observed.lingering if _is_earlier(context, pod, number) and _is_alive(context, pod)
    ]
    if context.suspended:
        _show_suspended(context)
    elif retry_at is not None and retry_at > context.draft.now:
        _show_back_off(context, number, retry_at=retry_at)
    elif earlier:
        context.show(f"Attempt {number} of {context.stage} waits until pod {earlier[0].name} has ended.")
        context.decision.requeue(after=RECHECK_SECONDS)
    else:
        _create_job(context, number)


def _is_earlier(context: StageContext, pod: PodView, number: int) -> bool:
    """Whether the pod may be of an earlier attempt; a Job that has the name of the next one is not the run's."""
    taken = {job.uid for job in context.observed.jobs if job.stage is context.stage and job.attempt >= number}
    return pod.stage is context.stage and pod.job_uid not in taken


def _is_alive(context: StageContext, pod: PodView) -> bool:
    lost = is_lost(pod, now=context.draft.now, after=context.settings.lost_pod_seconds)
    return not (pod.gone or pod.ended or lost)


def _show_suspended(context: StageContext) -> None:
    draft, stage = context.draft, context.stage
    message = f"Suspended in stage {stage}. {reasons.SUSPENDED.hint}"
    context.set_not_done(reason=reasons.SUSPENDED, message=message)
    position = training_position(draft.status.get("training", {})) if stage is Stage.TRAIN else ""
    draft.show(Phase.SUSPENDED, message=message, text=f"{context.phase}{position}")


def _show_back_off(context: StageContext, number: int, *, retry_at: datetime) -> None:
    last = context.attempts
    starts = f"Attempt {number} of {context.stage} starts at {last['nextRetryAt']}."
    context.show(
        f"{starts} Attempt {number - 1} ended: {last['lastMessage']}",
        text=f"{context.phase}: attempt {number} soon, after {last['lastReason']}",
    )
    context.decision.requeue(after=(retry_at - context.draft.now).total_seconds())


def _create_job(context: StageContext, number: int) -> None:
    run, stage = context.draft.run, context.stage
    attempts.begin(context.draft, stage, number=number)
    job = build_job(
        run, stage=stage, attempt=number, resolved=context.resolved, digest=context.digest, settings=context.settings
    )
    context.decision.create.append(job)
    context.set_not_done(reason=reasons.ATTEMPT_STARTED, message=f"Attempt {number} was started.")
    context.draft.add_event(reasons.ATTEMPT_STARTED, f"Created Job {job_name(run.name, stage=stage, attempt=number)}.")
    context.show(f"{context.phase}: attempt {number} starting" if number > 1 else f"{context.phase}: starting")
