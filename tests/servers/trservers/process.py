"""Start a server's program and wait until it answers. Invariant: the program is killed when the block ends."""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from trcluster.ports import choose
from trcluster.process import end_of
from trcluster.waiting import patience, until

READY_SECONDS = 90


def new_account() -> tuple[str, str]:
    """A random access key and secret key."""
    return f"TR{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30)


def free_endpoint() -> str:
    """An address on loopback that nothing listens on."""
    (port,) = choose(1, ())
    return f"http://127.0.0.1:{port}"


@contextmanager
def started(
    argv: Sequence[str | Path], *, endpoint: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a program until the block ends; the block begins when `endpoint` answers, with any status below 500."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in argv],
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=output,
            cwd=log.parent,
        )
        try:
            until(
                lambda: process.poll() is not None or _answers(endpoint),
                what=f"the server at {endpoint}",
                seconds=patience(READY_SECONDS),
                seen=lambda: end_of(log),
            )
            assert process.poll() is None, f"{argv[0]} has ended; {end_of(log)}"
            yield
        finally:
            process.kill()
            process.wait()


def _answers(endpoint: str) -> bool:
    connection = http.client.HTTPConnection(str(urlsplit(endpoint).netloc), timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
