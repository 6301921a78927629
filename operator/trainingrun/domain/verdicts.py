"""Every way an attempt can end, and how often it is retried: the one table of failure classes.

An agent's verdict is a claim about its own pod; `judge` joins it with what Kubernetes recorded, because a container
that was killed for memory can leave exit code 0, and a deleted pod can leave no exit code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from trainingrun.api.names import AGENT, SUPPORTED_CONTRACTS, WORKER
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.reported import plain

MAX_VERDICT_BYTES: Final = 4096


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
    """What follows an outcome: how often it is retried, whether with back-off, and the next step for the user."""

    retries: int
    back_off: bool
    hint: str


POLICIES: Final[Mapping[Outcome, RetryPolicy]] = {
    Outcome.SUCCEEDED: RetryPolicy(0, False, ""),
    Outcome.USER_ERROR: RetryPolicy(0, False, "Correct what the message names."),
    Outcome.STORAGE_REFUSED: RetryPolicy(0, False, "Correct spec.storage or the Secret that it names."),
    Outcome.STORAGE_OUTAGE: RetryPolicy(5, True, "Check that the storage endpoint answers."),
    Outcome.DIVERGED: RetryPolicy(0, False, "Lower train.learningRate or look for bad boxes in the report."),
    Outcome.STALLED: RetryPolicy(2, False, "Look at the trainer's stacks, or raise train.stallSeconds."),
    Outcome.OUT_OF_MEMORY: RetryPolicy(1, False, "Raise the stage's memory limit or lower train.batchSize."),
    Outcome.DISK_FULL: RetryPolicy(0, False, "Raise the stage's scratch size."),
    Outcome.INTERRUPTED: RetryPolicy(5, True, "The pod was ended from outside."),
    Outcome.CRASH: RetryPolicy(3, True, "See the log of the attempt's pod."),
    Outcome.GPU_UNFIT: RetryPolicy(0, False, "Set train.image to one whose TensorFlow serves this GPU."),
}
BACK_OFF_SECONDS: Final = (0, 10, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended, with the numbers and durations that its agent reports."""

    outcome: Outcome
    reason: str
    message: str
    hint: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)


def back_off_seconds(failures: int) -> int:
    """Seconds to wait before the next attempt after so many failures of the same class."""
    return BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]


def parse_verdict(text: str) -> Verdict | None:
    """Parse a termination message; None when it is not a verdict of a known contract."""
    if not text or len(text.encode()) > MAX_VERDICT_BYTES:
        return None
    try:
        data = json.loads(text)
        if data["contractVersion"] not in SUPPORTED_CONTRACTS:
            return None
        return Verdict(
            outcome=Outcome(data["outcome"]),
            reason=str(data["reason"])[:64],
            message=plain(str(data["message"])[:1500]),
            hint=plain(str(data.get("hint", ""))[:600]),
            numbers=_mapping(data.get("numbers")),
            timings=_mapping(data.get("timings")),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def judge(job: JobView | None, pod: PodView | None) -> Verdict:
    """Return how an attempt ended, from its agent's verdict and from what Kubernetes recorded."""
    if pod is None:
        return _without_pod(job)
    agent = pod.containers.get(AGENT, ContainerView())
    claimed = parse_verdict(agent.message) if agent.state == "terminated" else None
    if claimed is not None and claimed.outcome is not Outcome.CRASH:
        return _with_cause(claimed, pod)
    worker_name = WORKER.get(pod.stage, "")
    worker = pod.containers.get(worker_name, ContainerView())
    for name, container in ((AGENT, agent), (worker_name, worker)):
        if container.reason == "OOMKilled":
            return Verdict(
                Outcome.OUT_OF_MEMORY,
                "OOMKilled",
                f"Container {name} of pod {pod.name} was killed for exceeding its memory limit.",
                numbers=claimed.numbers if claimed else {},
                timings=claimed.timings if claimed else {},
            )
    return _from_pod(pod) or claimed or _from_exit(pod, agent)


def _with_cause(claimed: Verdict, pod: PodView) -> Verdict:
    """Name the cause of a disruption: the agent saw SIGTERM, and Kubernetes knows who sent it."""
    if claimed.outcome is not Outcome.INTERRUPTED or not pod.disruption:
        return claimed
    message = f"Pod {pod.name} was disrupted: {pod.disruption_message.rstrip('.')}. {claimed.message}"
    return replace(claimed, reason=pod.disruption, message=message)


def _without_pod(job: JobView | None) -> Verdict:
    if job is None:
        return Verdict(Outcome.INTERRUPTED, "JobGone", "The attempt's Job was deleted.")
    return Verdict(
        Outcome.INTERRUPTED,
        "PodGone",
        f"The pod of Job {job.name} no longer exists and left no verdict. {job.message}".strip(),
    )


def _from_pod(pod: PodView) -> Verdict | None:
    if pod.reason == "Evicted":
        for_disk = any(word in pod.message for word in ("ephemeral", "emptyDir", "EmptyDir", "disk"))
        outcome = Outcome.DISK_FULL if for_disk and not pod.disruption else Outcome.INTERRUPTED
        return Verdict(outcome, "Evicted", f"Pod {pod.name} was evicted: {pod.message}")
    if pod.disruption:
        return Verdict(Outcome.INTERRUPTED, pod.disruption, f"Pod {pod.name} was disrupted: {pod.disruption_message}")
    if pod.reason in {"NodeLost", "NodeShutdown", "Terminated", "Shutdown"}:
        return Verdict(Outcome.INTERRUPTED, pod.reason, f"Pod {pod.name} lost its node: {pod.message}")
    if pod.deletion_at or (pod.gone and not pod.ended):
        return Verdict(Outcome.INTERRUPTED, "PodDeleted", f"Pod {pod.name} was deleted.")
    return None


def _from_exit(pod: PodView, agent: ContainerView) -> Verdict:
    last_words = f": {agent.message.strip()[-500:]}" if agent.message.strip() else ""
    return Verdict(
        Outcome.CRASH,
        "NoVerdict",
        f"Container {AGENT} of pod {pod.name} ended with exit code {agent.exit_code} "
        f"({agent.reason or 'no reason'}) and no verdict{last_words}",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
