"""How a stage can end badly, one class per consequence.

Invariant: every exception that is meant to reach the user is a StageError, names what it is about (field,
file, key or pod) in its message, says what to do next in its hint, and carries no credential. Anything else
is a crash.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """Outcomes of a verdict, as in images/contracts/verdict.schema.json."""

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


class StageError(Exception):
    """Ends a stage with a known outcome.

    `reason` is CamelCase and API: it becomes the reason of a condition.
    """

    def __init__(self, outcome: Outcome, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.outcome = outcome
        self.reason = reason
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class UserError(StageError):
    """The spec or the data cannot work; a new attempt would end the same way."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.USER_ERROR, reason, message, hint)


class ObjectTooLarge(StageError):
    """An object is larger than the bound its reader has for it; nothing of it was kept."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.USER_ERROR, "ObjectTooLarge", message, hint)


class StorageRefused(StageError):
    """Storage answered and said no: waiting does not help, somebody has to change something."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.STORAGE_REFUSED, reason, message, hint)


class NotFound(StorageRefused):
    """The object asked for does not exist."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("ObjectNotFound", message, hint=hint)


class ObjectChanged(StorageRefused):
    """The object is not the one that was listed any more."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("ObjectChanged", message, hint=hint)


class StorageOutage(StageError):
    """Storage does not answer, or answers with 5xx: worth waiting for."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.STORAGE_OUTAGE, reason, message, hint)


class IntegrityError(StageError):
    """Bytes read differ in size or SHA-256 from what was promised, again after a second read."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.CRASH, "IntegrityError", message, hint)


class DiskFull(StageError):
    """The pod's scratch space is used up."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.DISK_FULL, "DiskFull", message, hint)


class Superseded(StageError):
    """Another pod has taken this one's place."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.INTERRUPTED, "Superseded", message, hint)


class Interrupted(StageError):
    """SIGTERM was seen; the next attempt goes on where this one stopped."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(Outcome.INTERRUPTED, "Interrupted", message, hint)
