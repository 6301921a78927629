"""Start the next attempt of a stage, or show why it has to wait."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

from trainingrun.api import clock, reasons
from trainingrun.api.names import Phase, Stage
from trainingrun.builders.jobs import build_job
from trainingrun.domain import attempts
from trainingrun.domain.assess import is_lost
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, MAX_MESSAGE
from trainingrun.domain.ended_jobs import outlives_attempt
from trainingrun.domain.observe import PodView
from trainingrun.domain.progress import training_position
from trainingrun.domain.refused_child import RefusedChild
from trainingrun.domain.stage import RECHECK_SECONDS, StageContext


def start_attempt(context: StageContext, number: int) -> None:
    """Start attempt `number` unless the run is suspended, in back-off, or something of an earlier one still runs."""
    retry_at = clock.parse(context.attempts.get("nextRetryAt"))
    if context.suspended:
        _show_suspended(context)
    elif retry_at is not None and retry_at > context.draft.now:
        _show_back_off(context, number, retry_at=retry_at)
    elif (earlier := _earlier(context, number)) is not None:
        context.show(f"Attempt {number} of {context.stage} waits until {earlier} has ended.")
        context.decision.requeue(after=RECHECK_SECONDS)
    elif context.observed.refused is not None:
        _show_refused(context, number, refused=context.observed.refused)
    else:
        _create_job(context, number)


def _earlier(context: StageContext, number: int) -> str | None:
    """Name a pod, or else a Job, of an earlier attempt that may still run: two attempts must never be side by side.

    A Job that has the name of attempt `number` is not the run's: its creation is refused, which names it.
    """
    observed, stage = context.observed, context.stage
    taken = {job.uid for job in observed.jobs if job.stage is stage and job.attempt >= number}
    pods = (pod for pod in observed.lingering if pod.stage is stage and pod.job_uid not in taken)
    jobs = (job for job in observed.jobs if job.stage is stage and job.uid not in taken)
    alive = (f"pod {pod.name}" for pod in pods if _is_alive(context, pod))
    outlasting = (f"Job {job.name}" for job in jobs if outlives_attempt(job, observed))
    return next(chain(alive, outlasting), None)


def _is_alive(context: StageContext, pod: PodView) -> bool:
    """Whether our containers in the pod may still run; a container that the cluster has added holds nothing back."""
    lost = is_lost(pod, now=context.draft.now, after=context.settings.lost_pod_seconds)
    return not (pod.gone or pod.done or lost)


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


def _show_refused(context: StageContext, number: int, *, refused: RefusedChild) -> None:
    if context.set_not_done(reason=reasons.CREATION_REFUSED, message=refused.text(MAX_CAUSE)):
        context.draft.add_event(reasons.CREATION_REFUSED, refused.text(MAX_EVENT), warning=True)
    waits = f"{context.phase}: waiting ({reasons.CREATION_REFUSED.name})"
    attempt = f"Attempt {number} of {context.stage} waits. "
    context.show(attempt + refused.text(MAX_MESSAGE - len(attempt)), text=waits)


def _create_job(context: StageContext, number: int) -> None:
    run, stage = context.draft.run, context.stage
    attempts.begin(context.draft, stage, number=number)
    job = build_job(
        run, stage=stage, attempt=number, resolved=context.resolved, digest=context.digest, settings=context.settings
    )
    context.decision.create.append(job)
    context.set_not_done(reason=reasons.ATTEMPT_STARTED, message=f"Attempt {number} was started.")
    context.show(f"{context.phase}: attempt {number} starting" if number > 1 else f"{context.phase}: starting")
