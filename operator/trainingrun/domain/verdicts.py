"""Every way an attempt can end, and how often it is retried: the one table of failure classes.

An agent's verdict is a claim about its own pod; `judge` joins it with what Kubernetes recorded, because a container
that was killed for memory can leave exit code 0, and a deleted pod can leave no exit code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from trainingrun.api import bounded_json, reasons
from trainingrun.api.names import AGENT, SUPPORTED_CONTRACTS, WORKER, Stage
from trainingrun.api.reason import Reason, Step
from trainingrun.domain import reported
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.reported import ClaimedStep

MAX_VERDICT_BYTES: Final = 4096
EXIT_NO_SPACE: Final = 28  # of an agent whose termination message did not fit on the node's disk (ENOSPC)


class Outcome(StrEnum):
    """Success and the failure classes of a verdict (images/contracts/verdict.schema.json)."""

    SUCCEEDED = "succeeded"
    USER_ERROR = "userError"
    STORAGE_REFUSED = "storageRefused"
    STORAGE_OUTAGE = "storageOutage"
    DIVERGED = "diverged"
    STALLED = "stalled"
    OUT_OF_MEMORY = "outOfMemory"
    DISK_FULL = "diskFull"
    INTERRUPTED = "interrupted"
    CRASH = "crash"
    GPU_UNFIT = "gpuUnfit"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What follows an outcome: how often it is retried, whether with back-off, and what helps when it is final.

    `step` and `hint` are for a verdict that names no next step and whose reason has no entry in the table of reasons.
    """

    retries: int
    back_off: bool
    step: Step
    hint: str


POLICIES: Final[Mapping[Outcome, RetryPolicy]] = {
    Outcome.SUCCEEDED: RetryPolicy(0, False, Step.WAIT, ""),
    Outcome.USER_ERROR: RetryPolicy(0, False, Step.NEW_RUN, "Correct what the message names, in a new TrainingRun."),
    Outcome.STORAGE_REFUSED: RetryPolicy(0, False, Step.RETRY, "Correct the Secret, the bucket or its permissions."),
    Outcome.STORAGE_OUTAGE: RetryPolicy(5, True, Step.WAIT, "Check that spec.storage.endpoint answers."),
    Outcome.DIVERGED: RetryPolicy(
        0, False, Step.NEW_RUN, "Create a new TrainingRun with a lower spec.train.learningRate; look for bad boxes too."
    ),
    Outcome.STALLED: RetryPolicy(2, False, Step.RETRY, "See the trainer's log and stacks for what it waits for."),
    Outcome.OUT_OF_MEMORY: RetryPolicy(
        1, False, Step.NEW_RUN, "Create a new TrainingRun with a higher memory limit for this stage."
    ),
    Outcome.DISK_FULL: RetryPolicy(
        0, False, Step.NEW_RUN, "Create a new TrainingRun with more scratch for this stage."
    ),
    Outcome.INTERRUPTED: RetryPolicy(
        5, True, Step.WAIT, "This happened too often: find out what keeps ending the pods."
    ),
    Outcome.CRASH: RetryPolicy(3, True, Step.RETRY, "Look for the cause in the log of the attempt's pod."),
    Outcome.GPU_UNFIT: RetryPolicy(
        0, False, Step.NEW_RUN, "Create a new TrainingRun with a spec.train.image whose TensorFlow supports this GPU."
    ),
}
_NODE_ENDED: Final = {
    entry.name for entry in (reasons.NODE_LOST, reasons.NODE_SHUTDOWN, reasons.TERMINATED, reasons.SHUTDOWN)
}
_READING: Final = re.compile(r"reading (.*\S) *")
BACK_OFF_SECONDS: Final = (0, 10, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended, with the numbers and durations that its agent reports."""

    outcome: Outcome
    reason: Reason
    message: str
    hint: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    next_step: ClaimedStep | None = None
    logs_uri: str = ""


def back_off_seconds(failures: int) -> int:
    """Seconds to wait before the next attempt after so many failures of the same class."""
    return BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]


def parse_verdict(text: str) -> Verdict | None:
    """Parse a termination message; None when it is not a verdict of a known contract."""
    if not text or len(text.encode("utf-8", "replace")) > MAX_VERDICT_BYTES:
        return None
    try:
        data = bounded_json.document(text)
        if data["contractVersion"] not in SUPPORTED_CONTRACTS:
            return None
        return Verdict(
            outcome=Outcome(data["outcome"]),
            reason=reasons.named(data["reason"]),
            message=str(data["message"])[:1500],
            hint=str(data.get("hint", ""))[:600],
            numbers=_mapping(data.get("numbers")),
            timings=_mapping(data.get("timings")),
            next_step=reported.next_step(data.get("nextStep")),
            logs_uri=reported.uri(data.get("logsURI")) or "",
        )
    except (ValueError, KeyError, TypeError):
        return None


def judge(job: JobView | None, pod: PodView | None) -> Verdict:
    """Return how an attempt ended, from its agent's verdict and from what Kubernetes recorded."""
    if pod is None:
        return _without_pod(job)
    claimed = parse_verdict(pod.agent.message) if pod.agent.state == "terminated" else None
    verdict = _joined(claimed, pod)
    return replace(verdict, logs_uri=claimed.logs_uri) if claimed else verdict  # they are there, however it ended


def _joined(claimed: Verdict | None, pod: PodView) -> Verdict:
    agent = pod.agent
    if claimed is not None and claimed.outcome is not Outcome.CRASH:
        return _with_cause(claimed, pod)
    worker_name = WORKER.get(pod.stage, "")
    worker = pod.containers.get(worker_name, ContainerView())
    for name, container in ((AGENT, agent), (worker_name, worker)):
        if container.reason == "OOMKilled":
            return _out_of_memory(pod, name, reading=_reading(agent) if name == AGENT else "", claimed=claimed)
    return _from_pod(pod) or claimed or _from_exit(pod, agent)


def _out_of_memory(pod: PodView, name: str, *, reading: str, claimed: Verdict | None) -> Verdict:
    reason = reasons.OOM_KILLED
    if name == AGENT and pod.stage is not Stage.PREP:
        reason = reasons.OOM_KILLED_AGENT
    elif reading:
        reason = reasons.OOM_KILLED_READING
    at = f" while it read {reading}" if reading else ""
    return Verdict(
        Outcome.OUT_OF_MEMORY,
        reason,
        f"Container {name} of pod {pod.name} was killed because it ran out of memory{at}.",
        numbers=claimed.numbers if claimed else {},
        timings=claimed.timings if claimed else {},
    )


def _reading(agent: ContainerView) -> str:
    """The files that the agent's processes read when it was killed, from what it wrote in place of a verdict."""
    found = (_READING.fullmatch(line) for line in agent.message[:MAX_VERDICT_BYTES].splitlines())
    return ", ".join(match[1] for match in found if match)


def _with_cause(claimed: Verdict, pod: PodView) -> Verdict:
    """Name the cause of a disruption: the agent saw SIGTERM, and Kubernetes knows who sent it."""
    if claimed.outcome is not Outcome.INTERRUPTED or not pod.disruption:
        return claimed
    message = f"Pod {pod.name} was disrupted: {pod.disruption_message.rstrip('.')}. {claimed.message}"
    return replace(claimed, reason=reasons.named(pod.disruption), message=message)


def _without_pod(job: JobView | None) -> Verdict:
    if job is None:
        return Verdict(Outcome.INTERRUPTED, reasons.JOB_GONE, "The attempt's Job was deleted.")
    return Verdict(
        Outcome.INTERRUPTED,
        reasons.POD_GONE,
        f"The pod of Job {job.name} no longer exists and left no verdict. {job.message}".strip(),
    )


def _from_pod(pod: PodView) -> Verdict | None:
    if pod.reason == "Evicted":
        for_disk = any(word in pod.message for word in ("ephemeral", "emptyDir", "EmptyDir", "disk"))
        message = f"Pod {pod.name} was evicted: {pod.message}"
        if for_disk and not pod.disruption:
            return Verdict(Outcome.DISK_FULL, reasons.EVICTED_FOR_SCRATCH, message)
        return Verdict(Outcome.INTERRUPTED, reasons.EVICTED, message)
    if pod.disruption:
        return Verdict(
            Outcome.INTERRUPTED,
            reasons.named(pod.disruption),
            f"Pod {pod.name} was disrupted: {pod.disruption_message}",
        )
    if pod.reason in _NODE_ENDED:
        return Verdict(Outcome.INTERRUPTED, reasons.named(pod.reason), f"Pod {pod.name} lost its node: {pod.message}")
    if pod.deletion_at or (pod.gone and not pod.ended):
        return Verdict(Outcome.INTERRUPTED, reasons.POD_DELETED, f"Pod {pod.name} was deleted.")
    return None


def _from_exit(pod: PodView, agent: ContainerView) -> Verdict:
    said = agent.message.strip()[-500:]
    last_words = f": {said}" if said else ""
    if agent.exit_code == EXIT_NO_SPACE:
        message = f"Container {AGENT} of pod {pod.name} could not write its verdict: the disk of its node is full."
        return Verdict(Outcome.DISK_FULL, reasons.NODE_DISK_FULL, message)
    return Verdict(
        Outcome.CRASH,
        reasons.NO_VERDICT,
        f"Container {AGENT} of pod {pod.name} ended with exit code {agent.exit_code} "
        f"({agent.reason or 'no reason'}) and no verdict{last_words}",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
