"""API errors named for their consequence; invariant: what an admission webhook answers is a refusal, whatever its code.

A webhook chooses its code and details freely: its 404 does not mean that the object is gone, its 409 not that the
object exists, its 422 not that a field is wrong. The API server begins the message of each with the webhook's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import bounded_json

MAX_WORDS: Final = 2000
_WEBHOOK: Final = 'admission webhook "'


class KubeError(Exception):
    """A call failed; retry it later. `status` is the HTTP status, 0 when there was none; `words` are the server's."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 0.0, words: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.words = words or message


class NotFoundError(KubeError):
    """The server does not have it; `kind` (plural) and `name` are of what is missing, empty if it is a path."""

    kind = ""
    name = ""


class ConflictError(KubeError):
    """The object exists already, or changed since it was read."""


class RefusedError(KubeError):
    """The server forbids the call now: rights, a quota, an admission policy or webhook. That may change."""


class InvalidError(RefusedError):
    """The server calls fields of the object invalid; `fields` are their paths, as the server writes them."""

    fields: tuple[str, ...] = ()


def from_answer(call: str, status: int, data: bytes, *, retry_after: float = 0.0) -> KubeError:
    """Return the error for an answer of the API server that is not a success."""
    answer = _parse(data)
    words = str(answer.get("message") or data[:500].decode("utf-8", errors="replace"))[:MAX_WORDS]
    details = _mapping(answer.get("details"))
    causes = details.get("causes")
    fields = tuple(str(cause.get("field") or "") for cause in causes or () if isinstance(cause, dict))
    kinds: dict[int, type[KubeError]] = {
        400: RefusedError,
        403: RefusedError,
        404: NotFoundError,
        409: ConflictError,
        422: InvalidError if answer.get("reason") == "Invalid" and any(fields) else RefusedError,
    }
    kind = RefusedError if words.startswith(_WEBHOOK) else kinds.get(status, KubeError)
    error = kind(f"{call}: {status}: {words}", status=status, retry_after=retry_after, words=words)
    if isinstance(error, NotFoundError):
        error.kind, error.name = str(details.get("kind") or ""), str(details.get("name") or "")
    if isinstance(error, InvalidError):
        error.fields = tuple(filter(None, fields))
    return error


def _parse(data: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(bounded_json.loads(data))
    except ValueError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
