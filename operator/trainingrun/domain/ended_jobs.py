"""Jobs of attempts that are over: which may still run containers, and which are deleted now.

Invariant: a Job is deleted only after the status explains it, so that its end is never taken for a failure. Nothing is
remembered: the next reconcile finds a Job that was to be deleted from the same facts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from trainingrun.api import clock, conditions
from trainingrun.api.settings import Settings
from trainingrun.domain.decision import Child, Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import JobView, Observed, PodView

# After an agent was killed, the trainer's probe ends the trainer within this time, and its log can be read afterwards.
LINGER_SECONDS: Final = 60


def newest_pod(pods: Iterable[PodView]) -> PodView | None:
    """Return the pod that counts: a Job that was suspended and resumed has had several."""
    return max(pods, key=lambda pod: (not pod.gone, not (pod.ended or pod.deletion_at), pod.created), default=None)


def outlives_attempt(job: JobView, observed: Observed) -> bool:
    """Whether the Job of an attempt that is over may still run containers, or start some."""
    if job.finished or job.deleting:
        return False
    if job.suspended:
        return True
    pod = _pod_of(job, observed)
    if pod is None or pod.gone or (pod.ended and pod.deletion_at):
        return job.undecided and not job.pod_ended  # a Job that was suspended and resumed starts another pod
    return not pod.ended


def delete_ended_jobs(decision: Decision, observed: Observed, *, settings: Settings) -> None:
    """Delete the Jobs of attempts that are over, once nobody needs their pods, or their logs, any more."""
    for job in observed.jobs:
        if job.deleting or not _is_over(decision.draft, job):
            continue
        left = _seconds_left(decision.draft, job, observed, settings=settings)
        if left <= 0:
            decision.delete_after_status.append(Child("Job", job.name, job.uid))
        elif math.isfinite(left):
            decision.requeue(after=left)


def _is_over(draft: Draft, job: JobView) -> bool:
    over = draft.is_true(conditions.FINISHED) or draft.stage_done(job.stage)
    return over or job.attempt <= draft.attempts(job.stage).get("ended", 0)


def _seconds_left(draft: Draft, job: JobView, observed: Observed, *, settings: Settings) -> float:
    """Seconds for which the Job stays; infinite while it is about to finish by itself."""
    if draft.stage_done(job.stage) and (not job.finished or job.attempt >= draft.attempts(job.stage).get("number", 0)):
        return 0
    if job.finished:
        return settings.failed_jobs_ttl_seconds - (_age(job.finished_at, draft.now) or 0)
    if not outlives_attempt(job, observed):
        return math.inf
    pod = _pod_of(job, observed)
    ended_for = _age(pod.agent.finished_at, draft.now) if pod and pod.agent.state == "terminated" else None
    if ended_for is None or job.suspended or draft.is_true(conditions.FINISHED) or draft.run.spec.get("suspend"):
        return 0  # the attempt was ended while its agent lives, or the run needs no node now
    return LINGER_SECONDS - ended_for


def _pod_of(job: JobView, observed: Observed) -> PodView | None:
    return newest_pod(observed.pods_of(job.uid))


def _age(moment: str, now: datetime) -> float | None:
    return clock.seconds_between(moment, clock.to_text(now))
