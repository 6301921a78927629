"""Where the attempt in flight stands: ended, waiting for its pod, or running."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trainingrun.api import clock, reasons
from trainingrun.api.names import WORKER
from trainingrun.domain.deaths import exit_of
from trainingrun.domain.end_facts import Facts
from trainingrun.domain.judge import explain, judge
from trainingrun.domain.nodes import UNKNOWN, Nodes
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.verdicts import Outcome, Verdict, parse_verdict
from trainingrun.domain.waiting import Cause, cause_of, job_suspended

SETTLE_SECONDS: Final = 5  # from the agent's end until the state of the container beside it is known
CAUSE_SECONDS: Final = 30  # after SIGTERM for no known cause: a kubelet that evicts says so when all containers ended
NEVER_STARTED_SECONDS: Final = 15
_BEFORE_TRAINER: Final = ("starting", "preflight", "fetching", "waitingForTrainer")  # a report can hold any value


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt is over, whether or not its pod still runs."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Waiting:
    """The pod has not started."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class Running:
    """The pod runs; its state may change by itself `recheck_after` seconds from now.

    `succeeded`: its agent has, and the node is about to be free for the next pod.
    """

    pod: PodView
    terminating: bool = False
    succeeded: bool = False
    recheck_after: float | None = None


State = Ended | Waiting | Running


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one attempt."""

    job: JobView | None
    pod: PodView | None
    progress: Mapping[str, Any] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    nodes: Nodes = UNKNOWN


def assess(evidence: Evidence, *, now: datetime, lost_after: float) -> State:
    """Return the state of an attempt; a pod is lost `lost_after` seconds after the end of its grace period."""
    job, pod = evidence.job, evidence.pod
    if pod is not None and _succeeded(pod):
        # The scheduler reserves its room until its phase says that it has ended, up to a second later.
        settled = pod.gone or _verdict_is_settled(pod, now=now)
        return Ended(judge(job, pod)) if settled else Running(pod, succeeded=True, recheck_after=SETTLE_SECONDS)
    if pod is None or pod.gone:
        return _without_live_pod(job, pod, hints=evidence.hints, now=now)
    lost = is_lost(pod, now=now, after=lost_after)
    if job is not None and _may_replace(job, pod, lost=lost):
        if job.suspended and (pod.done or lost or not pod.started):
            return Waiting(job_suspended(job))
        return Running(pod, terminating=True, recheck_after=_until_lost(pod, now=now, after=lost_after))
    verdict = _end_of(evidence, pod, lost=lost, now=now)
    if verdict is not None:
        return Ended(verdict)
    if job is None or job.deleting or pod.deletion_at:
        return Running(pod, terminating=True, recheck_after=_until_lost(pod, now=now, after=lost_after))
    if pod.phase == "Pending" and not pod.started:  # Pending too: an added container that waits beside ours
        return Waiting(cause_of(job, pod, hints=evidence.hints, now=now, nodes=evidence.nodes))
    container_ended = any(c.state == "terminated" for c in pod.containers.values())
    return Running(pod, recheck_after=SETTLE_SECONDS if container_ended else None)


def _may_replace(job: JobView, pod: PodView, *, lost: bool) -> bool:
    """Whether the Job may start another pod: after something else has suspended it, its pods say nothing of its end."""
    return job.undecided and (job.suspended or (bool(pod.deletion_at) and pod.done and not lost))


def _end_of(evidence: Evidence, pod: PodView, *, lost: bool, now: datetime) -> Verdict | None:
    if _verdict_is_settled(pod, now=now):
        return judge(evidence.job, pod)
    if lost:
        node = f"its node {pod.node}" if pod.node else "its node"
        message = f"Pod {pod.name} did not end within its grace period; {node} may be unreachable."
        return Verdict(Outcome.INTERRUPTED, reasons.POD_STUCK, message)
    return _trainer_never_started(evidence, now=now)


def is_lost(pod: PodView, *, now: datetime, after: float) -> bool:
    """Return whether the pod has outlived its grace period by `after` seconds; epochs keep such a pod harmless."""
    deletion = clock.parse(pod.deletion_at)
    return deletion is not None and (now - deletion).total_seconds() > after


def is_alive(pod: PodView, *, now: datetime, lost_after: float) -> bool:
    """Return whether our containers in the pod may still run, whatever containers the cluster has added to it."""
    return not (pod.gone or pod.done or is_lost(pod, now=now, after=lost_after))


def _until_lost(pod: PodView, *, now: datetime, after: float) -> float:
    deletion = clock.parse(pod.deletion_at) or now
    return max(1.0, (deletion - now).total_seconds() + after + 1)


def _without_live_pod(job: JobView | None, pod: PodView | None, *, hints: Mapping[str, str], now: datetime) -> State:
    if job is None or job.deleting:
        return Ended(judge(job, pod))
    if not job.finished:
        return Waiting(cause_of(job, None, hints=hints, now=now))
    # Jobs and pods are watched by two streams: the pod's verdict may still be on its way.
    # Without a readable time of its end, the time of its creation counts: that is always the server's own.
    if pod is None and min(_seconds_since(at, now) for at in (job.finished_at, job.created)) < SETTLE_SECONDS:
        return Waiting(Cause(reasons.POD_PENDING, f"Job {job.name} has ended; waiting for the state of its pod."))
    return Ended(judge(job, pod))


def _succeeded(pod: PodView) -> bool:
    verdict = parse_verdict(pod.agent.message) if pod.agent.state == "terminated" else None
    return verdict is not None and verdict.outcome is Outcome.SUCCEEDED


def _verdict_is_settled(pod: PodView, *, now: datetime) -> bool:
    """Whether the agent has ended, however: what else runs in the pod, ours or not, changes the verdict no more."""
    return pod.ended or (
        pod.agent.state == "terminated" and _seconds_since(pod.agent.finished_at, now) >= _settle_seconds(pod)
    )


def _settle_seconds(pod: PodView) -> float:
    verdict = parse_verdict(pod.agent.message)
    interrupted = verdict is not None and verdict.outcome is Outcome.INTERRUPTED
    return CAUSE_SECONDS if interrupted and not (pod.deletion_at or pod.disruption) else SETTLE_SECONDS


def _seconds_since(moment: str, now: datetime) -> float:
    """Seconds since a time of the API; without one, as for a container that the node has lost, it is long ago."""
    passed = clock.seconds_between(moment, clock.to_text(now))
    return math.inf if passed is None else passed


def _trainer_never_started(evidence: Evidence, *, now: datetime) -> Verdict | None:
    pod = evidence.pod
    assert pod is not None
    name = WORKER.get(pod.stage, "")
    worker = pod.containers.get(name)
    if worker is None or worker.state != "terminated" or pod.agent.state != "running" or pod.deletion_at:
        return None
    since = clock.seconds_between(worker.finished_at, clock.to_text(now)) or 0
    if since < NEVER_STARTED_SECONDS or evidence.progress.get("phase") not in _BEFORE_TRAINER:
        return None
    said = worker.message.strip()
    last_words = f": {said.rstrip('.')}." if said else "."
    message = f"Container {name} of pod {pod.name} ended with {exit_of(worker)} before it began to work{last_words}"
    return explain(Facts(evidence.job, pod, Verdict(Outcome.CRASH, reasons.TRAINER_NEVER_STARTED, message)))
