"""Every class of ends of an attempt, and how often each is retried: the one table of failure classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from trainingrun.api import bounded_json, reasons
from trainingrun.api.names import SUPPORTED_CONTRACTS
from trainingrun.api.reason import Reason, Step
from trainingrun.domain import reported
from trainingrun.domain.reported import ClaimedStep

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
    Outcome.STORAGE_REFUSED: RetryPolicy(
        0, False, Step.RETRY, "Correct the credentials, the bucket or its permissions."
    ),
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


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
