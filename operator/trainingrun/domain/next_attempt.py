"""Start the next attempt of a stage, or show why it has to wait."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

from trainingrun.api import clock, reasons
from trainingrun.api.names import Stage
from trainingrun.api.status import Changes
from trainingrun.builders.jobs import build_job
from trainingrun.domain import attempts, changes_of_attempt, deadline, finish, lasting, missing_object, suspension
from trainingrun.domain.assess import is_alive
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, MAX_MESSAGE
from trainingrun.domain.ended_jobs import outlives_attempt
from trainingrun.domain.progress import doubt_storage, saved_images
from trainingrun.domain.refused_child import RefusedChild
from trainingrun.domain.stage import RECHECK_SECONDS, StageContext


def start_attempt(context: StageContext, number: int) -> None:
    """Start attempt `number` unless the run is suspended, in back-off, or something of an earlier one still runs."""
    retry_at = clock.parse(context.attempts.get("nextRetryAt"))
    earlier = _earlier(context, number)
    if context.suspended:
        suspension.show_suspended(context)
        return
    if deadline.is_past(context.draft):
        deadline.fail(context, None)
        return
    if earlier is None:
        suspension.note_resumption(context)
    if retry_at is not None and retry_at > context.draft.now:
        if missing_object.is_waited_for(context):
            missing_object.show_pause(context, number, until=retry_at)
        else:
            _show_back_off(context, number, retry_at=retry_at)
    elif earlier is not None:
        _show_earlier(context, number, earlier=earlier)
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
    lost_after = context.settings.lost_pod_seconds
    alive = (f"pod {pod.name}" for pod in pods if is_alive(pod, now=context.draft.now, lost_after=lost_after))
    outlasting = (f"Job {job.name}" for job in jobs if outlives_attempt(job, observed))
    return next(chain(alive, outlasting), None)


def _show_earlier(context: StageContext, number: int, *, earlier: str) -> None:
    if finish.is_waited_for(context):
        finish.show_wait(context)
        return
    message = f"Attempt {number} of {context.stage} waits until {earlier} has ended."
    _set_delayed(context, message)
    context.show(message)
    context.decision.requeue(after=RECHECK_SECONDS)


def _set_delayed(context: StageContext, message: str) -> None:
    """Take back what the condition says of the attempt before; a resumption is noted when that one's pod has ended."""
    if context.reason not in {*suspension.REASONS, reasons.FINISHING.name}:
        context.set_not_done(reason=reasons.ATTEMPT_DELAYED, message=message)


def _show_back_off(context: StageContext, number: int, *, retry_at: datetime) -> None:
    last = context.attempts
    starts = f"Attempt {number} of {context.stage} starts at {last['nextRetryAt']}."
    message = f"{starts} Attempt {number - 1} ended: {last['lastMessage']}"
    _set_delayed(context, message)
    context.show(message, text=f"{context.phase}: attempt {number} soon, after {last['lastReason']}")
    context.decision.requeue(after=(retry_at - context.draft.now).total_seconds())


def _show_refused(context: StageContext, number: int, *, refused: RefusedChild) -> None:
    context.set_not_done(reason=reasons.CREATION_REFUSED, message=refused.text(MAX_CAUSE))
    waits = f"{context.phase}: waiting ({reasons.CREATION_REFUSED.name})"
    attempt = f"Attempt {number} of {context.stage} waits. "
    context.show(attempt + refused.text(MAX_MESSAGE - len(attempt)), text=waits)
    lasting.report_if_it_lasts(context.decision, reasons.CREATION_REFUSED, refused.text(MAX_EVENT))


def begin_attempt(context: StageContext, number: int, *, changes: Changes, goes_on: bool = False) -> None:
    """Record that an attempt was started now, and take back what the one before said of the storage."""
    attempts.begin(context.draft, context.stage, number=number, changes=changes, goes_on=goes_on)
    doubt_storage(context.draft, context.stage)


def _create_job(context: StageContext, number: int) -> None:
    run, stage = context.draft.run, context.stage
    goes_on = missing_object.is_waited_for(context)
    changes = changes_of_attempt.of_next(context)
    begin_attempt(context, number, changes=changes, goes_on=goes_on)
    job = build_job(
        run,
        stage=stage,
        attempt=number,
        resolved=context.resolved,
        digest=context.digest,
        settings=context.settings,
        changes=changes,
    )
    context.decision.create.append(job)
    context.decision.read_pods = number > 1  # one of an earlier attempt may live that no watch has shown yet
    if goes_on:
        missing_object.show_again(context, number)
        return
    context.set_not_done(reason=reasons.ATTEMPT_STARTED, message=f"Attempt {number} was started.")
    saved = saved_images(context.draft.status.get("dataset", {})) if stage is Stage.PREP else ""
    if saved:
        at = f"goes on at {saved}"
        context.show(f"Attempt {number} of {stage} {at}.", text=f"{context.phase}: attempt {number} {at}")
    else:
        context.show(f"{context.phase}: attempt {number} starting" if number > 1 else f"{context.phase}: starting")
