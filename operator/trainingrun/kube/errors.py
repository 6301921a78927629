"""API errors named for their consequence."""

from __future__ import annotations


class KubeError(Exception):
    """A call failed; retry it later. `status` is the HTTP status, 0 when there was none."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotFoundError(KubeError):
    """The object does not exist."""


class ConflictError(KubeError):
    """The object exists already, or changed since it was read."""


class RefusedError(KubeError):
    """The server refused the call as invalid or forbidden; the same call will fail again."""


def from_status(status: int, message: str, *, retry_after: float | None = None) -> KubeError:
    """Map an HTTP status to its consequence."""
    kinds: dict[int, type[KubeError]] = {
        400: RefusedError,
        403: RefusedError,
        404: NotFoundError,
        409: ConflictError,
        422: RefusedError,
    }
    return kinds.get(status, KubeError)(message, status=status, retry_after=retry_after)
