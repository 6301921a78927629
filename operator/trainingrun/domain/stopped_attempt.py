"""Attempts that the operator itself ends without a failure: for a suspension, or because spec.finish has changed.

Such an end is in the status before the attempt's pod has ended, because the Job is deleted only after the status says
why. `jobUID` therefore stays in the status until the pod has ended: its verdict says which checkpoint was saved. A
verdict that no operator saw is not guessed.
"""

from __future__ import annotations

from trainingrun.api import reasons
from trainingrun.api.reason import Reason
from trainingrun.domain import attempts, results
from trainingrun.domain.accounting import SUSPENDED, Ending, close_attempt
from trainingrun.domain.assess import is_alive
from trainingrun.domain.ended_jobs import newest_pod, outlives_attempt
from trainingrun.domain.observe import PodView
from trainingrun.domain.stage import StageContext
from trainingrun.domain.verdicts import Outcome, Verdict, parse_verdict


def stop(context: StageContext, pod: PodView | None, reason: Reason) -> bool:
    """End the attempt in flight; return whether its pod still has to say what it saved in its grace period."""
    uid = context.attempts.get("jobUID") if "ranAt" in context.attempts else None
    if uid is None:
        close_attempt(context, Ending(SUSPENDED, reason.name, pod))
    attempts.end(context.draft, context.stage)
    if uid is None:
        return False
    context.attempts["jobUID"] = uid
    return True


def is_stopping(context: StageContext) -> bool:
    """Whether the pod of an attempt that was ended has not said yet what it saved."""
    entry = context.attempts
    return "jobUID" in entry and entry["number"] <= entry.get("ended", 0)


def take_verdict(context: StageContext) -> tuple[bool, Verdict | None]:
    """Write what the pod says, once it has ended; return whether the attempt is over without success, and the verdict.

    The attempt may have succeeded before the signal arrived.
    """
    if not is_stopping(context):
        return False, None
    uid, entry = context.attempts["jobUID"], context.attempts
    pod = newest_pod(pod for pod in context.observed.pods_of(uid) if pod.attempt == entry["number"])
    if _is_ending(context, uid, pod):
        return False, None
    context.decision.read_pods |= pod is None
    del entry["jobUID"]
    verdict = parse_verdict(pod.agent.message) if pod is not None and pod.agent.state == "terminated" else None
    if verdict is not None and verdict.outcome is Outcome.SUCCEEDED:
        close_attempt(context, Ending.of(verdict, pod))
        attempts.count_end(context.draft, context.stage, verdict)
        results.complete_stage(context.draft, context.stage, verdict)
        return False, verdict
    finishing = context.reason == reasons.FINISHING.name
    reason = reasons.FINISHING if finishing else reasons.SUSPENDED
    close_attempt(context, Ending(SUSPENDED, reason.name, pod, verdict))
    if verdict is not None:
        results.write_numbers(context.draft, context.stage, verdict)
    return True, verdict


def _is_ending(context: StageContext, uid: str, pod: PodView | None) -> bool:
    job = next((job for job in context.observed.jobs if job.uid == uid), None)
    if job is not None and outlives_attempt(job, context.observed):
        return True
    return pod is not None and is_alive(pod, now=context.draft.now, lost_after=context.settings.lost_pod_seconds)
