"""Where the attempt in flight stands: ended, waiting for its pod, or running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trainingrun.api import clock, reasons
from trainingrun.api.names import AGENT, WORKER
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.verdicts import Outcome, Verdict, judge, parse_verdict
from trainingrun.domain.waiting import Cause, cause_of

SETTLE_SECONDS: Final = 5  # from the agent's end until the state of the container beside it is known
NEVER_STARTED_SECONDS: Final = 15
_BEFORE_TRAINER: Final = {"starting", "preflight", "fetching", "waitingForTrainer"}


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt is over; `delete_job` asks for its Job to be deleted, because its pod will not end by itself."""

    verdict: Verdict
    delete_job: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The pod has not started."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class Running:
    """The pod runs; its state may change by itself `recheck_after` seconds from now."""

    pod: PodView
    terminating: bool = False
    recheck_after: float | None = None


State = Ended | Waiting | Running


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one attempt."""

    job: JobView | None
    pod: PodView | None
    progress: Mapping[str, Any] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)


def assess(evidence: Evidence, *, now: datetime, lost_after: float) -> State:
    """Return the state of an attempt; a pod is lost `lost_after` seconds after the end of its grace period."""
    job, pod = evidence.job, evidence.pod
    if pod is None or pod.gone:
        return _without_live_pod(job, pod, hints=dict(evidence.hints), now=now)
    if _verdict_is_final(pod, now=now):
        return Ended(judge(job, pod))
    if is_lost(pod, now=now, after=lost_after):
        message = f"Pod {pod.name} did not end within its grace period; its node {pod.node} may be unreachable."
        return Ended(Verdict(Outcome.INTERRUPTED, reasons.POD_STUCK, message), delete_job=True)
    never_started = _trainer_never_started(evidence, now=now)
    if never_started is not None:
        return Ended(never_started, delete_job=True)
    if job is None or job.deleting or pod.deletion_at:
        return Running(pod, terminating=True, recheck_after=_until_lost(pod, now=now, after=lost_after))
    if pod.phase == "Pending":
        return Waiting(cause_of(job, pod, hints=dict(evidence.hints), now=now))
    container_ended = any(c.state == "terminated" for c in pod.containers.values())
    return Running(pod, recheck_after=SETTLE_SECONDS if container_ended else None)


def is_lost(pod: PodView, *, now: datetime, after: float) -> bool:
    """Return whether the pod has outlived its grace period by `after` seconds; epochs keep such a pod harmless."""
    deletion = clock.parse(pod.deletion_at)
    return deletion is not None and (now - deletion).total_seconds() > after


def _until_lost(pod: PodView, *, now: datetime, after: float) -> float:
    deletion = clock.parse(pod.deletion_at) or now
    return max(1.0, (deletion - now).total_seconds() + after + 1)


def _without_live_pod(job: JobView | None, pod: PodView | None, *, hints: dict[str, str], now: datetime) -> State:
    if pod is None and job is not None and job.finished and not job.deleting:
        # Jobs and pods are watched by two streams: the pod's verdict may still be on its way.
        since = clock.seconds_between(job.finished_at, clock.to_text(now)) or 0
        if since < SETTLE_SECONDS:
            return Waiting(Cause(reasons.POD_PENDING, f"Job {job.name} has ended; waiting for the state of its pod."))
    if pod is not None or job is None or job.deleting or job.finished:
        return Ended(judge(job, pod))
    return Waiting(cause_of(job, None, hints=hints, now=now))


def _verdict_is_final(pod: PodView, *, now: datetime) -> bool:
    if pod.ended:
        return True
    agent = _agent(pod)
    verdict = parse_verdict(agent.message) if agent.state == "terminated" else None
    if verdict is None:
        return False
    settled = (clock.seconds_between(agent.finished_at, clock.to_text(now)) or 0) >= SETTLE_SECONDS
    return verdict.outcome is Outcome.SUCCEEDED or settled


def _trainer_never_started(evidence: Evidence, *, now: datetime) -> Verdict | None:
    pod = evidence.pod
    assert pod is not None
    name = WORKER.get(pod.stage, "")
    worker = pod.containers.get(name)
    if worker is None or worker.state != "terminated" or _agent(pod).state != "running":
        return None
    since = clock.seconds_between(worker.finished_at, clock.to_text(now)) or 0
    if since < NEVER_STARTED_SECONDS or evidence.progress.get("phase") not in _BEFORE_TRAINER:
        return None
    said = worker.message.strip()
    last_words = f": {said.rstrip('.')}." if said else "."
    return Verdict(
        Outcome.CRASH,
        reasons.TRAINER_NEVER_STARTED,
        f"Container {name} of pod {pod.name} ended with exit code {worker.exit_code} ({worker.reason}) "
        f"before it began to work{last_words}",
    )


def _agent(pod: PodView) -> ContainerView:
    return pod.containers.get(AGENT, ContainerView())
