"""Answers of real servers, and of what stands before them, with what has to be said of each; and the calls."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from refusing_s3 import RefusingServer
from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.s3 import S3Store

REFUSED, OUTAGE = Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE
FAST = Limits(connect=1, read=2, attempts=1)

Call = Callable[[S3Store], object]


def listing(store: S3Store) -> object:
    return list(store.list("runs/x/", limit=1))


def put(store: S3Store) -> object:
    return store.put("k", b"x")


def get(store: S3Store) -> object:
    return store.get("k", max_bytes=1)


def head(store: S3Store) -> object:
    return store.head("k")


def delete(store: S3Store) -> object:
    store.delete("k")
    return None


def small_upload(store: S3Store) -> object:
    return store.upload("k", io.BytesIO(b"x"), size=1)


def download(store: S3Store) -> object:
    with TemporaryDirectory() as folder:
        return store.download("k", Path(folder, "f"), size=1, sha256=None)


def part(store: S3Store) -> object:
    return store.upload("k", io.BytesIO(bytes(17 << 20)), size=17 << 20)


@dataclass(frozen=True)
class Odd:
    """An answer, and what has to be said of it."""

    status: int
    body: str
    reason: str
    hint: str
    outcome: Outcome = REFUSED
    call: Call = put
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    addressing: str = "path"


def check(odd: Odd, server: RefusingServer, open_at: Callable[..., S3Store]) -> None:
    """The server answers so, and the error has the reason, the hint and the message."""
    server.status, server.body, server.headers = odd.status, odd.body, odd.headers
    with pytest.raises(StageError) as caught:
        odd.call(open_at(addressing=odd.addressing))
    error = caught.value
    assert (error.reason, error.outcome) == (odd.reason, odd.outcome), error
    assert odd.hint in error.hint
    assert odd.message in error.message
    assert f"at {server.endpoint} failed" in error.message or odd.reason == "ObjectArchived"
    assert len(error.hint) <= 300
    for hidden in ("token", "password@", "/etc", "user:"):
        assert hidden not in f"{error.message} {error.hint}"
    assert "{" not in f"{error.message} {error.hint}"
