"""Act on the attempt in flight: count its end, end it for a suspension, or show what it waits for or does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import clock, reasons
from trainingrun.domain import (
    attempts,
    deadline,
    finish,
    lasting,
    missing_object,
    recovery,
    reported,
    results,
    start_deadline,
    suspension,
)
from trainingrun.domain.accounting import Ending, close_attempt
from trainingrun.domain.assess import Ended, Evidence, Running, assess
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, MAX_MESSAGE
from trainingrun.domain.ended_jobs import newest_pod
from trainingrun.domain.failed_attempt import fail_run
from trainingrun.domain.history import REPLACED
from trainingrun.domain.lost_results import rebuild_dataset
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.progress import show_progress
from trainingrun.domain.stage import RECHECK_SECONDS, StageContext
from trainingrun.domain.texts import sentences
from trainingrun.domain.verdicts import Outcome
from trainingrun.domain.waiting import Cause

UNKNOWN_SETTINGS_SECONDS: Final = 60
_REFUSED: Final = {reasons.POD_REFUSED.name, reasons.QUOTA_EXCEEDED.name}
NODES_AFTER_SECONDS: Final = 2  # a pod whose predecessor is just ending needs no amounts


def follow_attempt(context: StageContext, number: int, *, job: JobView | None) -> bool:
    """Act on the attempt in flight; return whether the next one may start."""
    pod = _pod_of(context, number)
    report = context.observed.progress if pod and context.observed.progress.get("podUID") == pod.uid else {}
    if pod is not None and pod.started:
        context.attempts.setdefault("ranAt", context.draft.now_text)
    observed = context.observed
    if job is not None and job.finished and pod is not None and not (pod.done or pod.gone):
        context.decision.read_pods = True  # the watch of pods is behind that of Jobs, or has missed an end in a gap
    evidence = Evidence(job, pod, progress=report, hints=observed.hints, nodes=observed.nodes)
    state = assess(evidence, now=context.draft.now, lost_after=context.settings.lost_pod_seconds)
    if isinstance(state, Ended):
        return _count_end(context, state, job=job, pod=pod)
    succeeded = isinstance(state, Running) and state.succeeded
    if not succeeded and (context.suspended or deadline.is_past(context.draft) or finish.needs_other_attempt(context)):
        return _end_it(context, pod)
    if isinstance(state, Running):
        _show_running(context, state, report=report)
    elif job is not None and _is_refused_for_old_settings(context, job, state.cause):
        _replace(context, cause=state.cause)
        return True
    elif job is not None and _start_deadline_passed(context, job):
        context.decision.read_pods = True  # it may have started, and no watch has shown that yet
        start_deadline.fail_start(context, pod, job=job.name, cause=state.cause.what, hint=state.cause.hint)
    elif job is not None and missing_object.must_give_up(context, state.cause):
        missing_object.give_up(context, state.cause, pod=pod)
        return True
    elif job is not None and missing_object.is_tried_again(context, job, pod) and state.cause.is_of_every_pod:
        missing_object.show_again(context, number)
        _look_again(context, state.cause, pod=pod)
    else:
        _show_waiting(context, state.cause)
        _look_again(context, state.cause, pod=pod)
    return False


def _end_it(context: StageContext, pod: PodView | None) -> bool:
    """End the attempt in flight as the spec asks; return whether the next one may start."""
    if context.suspended:
        suspension.end_attempt(context, pod)
    elif deadline.is_past(context.draft):
        deadline.fail(context, pod)
        return False
    else:
        finish.end_attempt(context, pod)
    return True


def _pod_of(context: StageContext, number: int) -> PodView | None:
    pods = context.observed.pods_of(context.attempts.get("jobUID"))
    return newest_pod(pod for pod in pods if pod.attempt == number)


def _count_end(context: StageContext, ended: Ended, *, job: JobView | None, pod: PodView | None) -> bool:
    """Count the end and write its results; return whether the budget allows another attempt."""
    context.decision.read_pods |= pod is None
    draft, stage, verdict = context.draft, context.stage, ended.verdict
    close_attempt(context, Ending.of(verdict, pod))
    retries = recovery.budget(context, verdict)
    may_retry = attempts.count_end(draft, stage, verdict, retries=retries)
    results.write_timings(draft, stage, job=job, pod=pod, verdict=verdict)
    if verdict.outcome is Outcome.SUCCEEDED:
        results.complete_stage(draft, stage, verdict)
        return False
    results.write_numbers(draft, stage, verdict)
    if not may_retry and rebuild_dataset(draft, stage, verdict):
        context.set_not_done(reason=verdict.reason, message=verdict.message)
        context.decision.requeue(after=0)
        return False
    if not may_retry:
        fail_run(context, verdict)
        return False
    changed = recovery.change_next(context, verdict)
    message = sentences(f"Attempt {context.attempts['ended']} of {stage} ended: {verdict.message}", changed)
    context.set_not_done(reason=reasons.ATTEMPT_DELAYED, message=message)
    draft.add_event(verdict.reason, message, warning=True)
    return True


def _show_running(context: StageContext, state: Running, *, report: Mapping[str, Any]) -> None:
    if _is_shown(context) and _tells_nothing_new(context, report):
        context.draft.keep_shown()
    else:
        show_progress(context.draft, context.stage, report=report)
    message = "The attempt is ending." if state.terminating else "The attempt is running."
    context.set_not_done(reason=reasons.RUNNING, message=message)
    context.decision.pull_progress = state.pod
    if state.recheck_after:
        context.decision.requeue(after=state.recheck_after)


def _is_shown(context: StageContext) -> bool:
    """Whether the stored status shows the attempt at work."""
    stored = context.draft.run.status.get("progress", {})
    return context.reason == reasons.RUNNING.name and stored.get("stage") == context.stage


def _tells_nothing_new(context: StageContext, report: Mapping[str, Any]) -> bool:
    """Whether this operator knows less than the status shows, as it does soon after its start.

    The agent has not answered yet, or it is out of reach, and its log is up to a minute behind what it has answered.
    """
    stored = context.draft.run.status.get("progress", {})
    from_log = report.get("source") == "log" and "source" in stored
    return not report or (from_log and (reported.moment(report.get("updated")) or "") < stored.get("updated", ""))


def _is_refused_for_old_settings(context: StageContext, job: JobView, cause: Cause) -> bool:
    """Whether the cluster refuses the attempt's pod, and the installer has changed the settings for pods since."""
    if cause.reason.name not in _REFUSED or job.pod_settings == context.settings.run_pods.digest:
        return False
    # A Job of an earlier version, or one whose annotation something removes: then this must not happen all the time.
    waited = clock.seconds_between(job.created, context.draft.now_text) or 0
    return bool(job.pod_settings) or waited >= UNKNOWN_SETTINGS_SECONDS


def _replace(context: StageContext, *, cause: Cause) -> None:
    """End an attempt that never had a pod, without counting a failure: a Job cannot get other settings."""
    close_attempt(context, Ending(REPLACED, cause.reason.name, pod=None))
    attempts.end(context.draft, context.stage)
    what = f"Attempt {context.attempts['number']} of {context.stage} got no pod and is replaced"
    message = f"{what}: the operator's settings for pods have changed."
    context.set_not_done(reason=reasons.ATTEMPT_DELAYED, message=message)
    context.draft.add_event(cause.reason, message)


def _start_deadline_passed(context: StageContext, job: JobView) -> bool:
    """Whether an attempt that never ran has waited too long."""
    left = start_deadline.seconds_left(context, job)
    return left is not None and left <= 0 and job.undecided and not (job.suspended or job.pod_ended)


def _show_waiting(context: StageContext, cause: Cause) -> None:
    cause = missing_object.with_name_that_is_meant(context, cause)
    context.set_not_done(reason=cause.reason, message=cause.text(MAX_CAUSE))
    context.show(cause.text(MAX_MESSAGE), text=f"{context.phase}: waiting ({cause.reason.name})")
    lasting.report_if_it_lasts(context.decision, cause.reason, cause.text(MAX_EVENT))


def _look_again(context: StageContext, cause: Cause, *, pod: PodView | None) -> None:
    """Ask for what may explain the wait better, and for another decision soon."""
    decision = context.decision
    if cause.reason is reasons.CONFIG_MAP_MISSING and context.document_name in cause.message:
        decision.read_document = True  # it was deleted, and may be made again
    if cause.subject_uid:
        decision.read_warnings.append(cause.subject_uid)
    if pod is not None and pod.unschedulable and lasting.waited_seconds(context.draft) >= NODES_AFTER_SECONDS:
        decision.read_nodes_for = pod
    if cause.reason is not reasons.JOB_SUSPENDED:  # that can last for days, and the watch of the Job shows its end
        decision.requeue(after=RECHECK_SECONDS)
