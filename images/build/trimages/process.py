"""Runs build programs. Invariant: their output goes to a log file, and each has a time limit."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .errors import BuildError

Echo = Callable[[str], None]
REPORT_EVERY = 10.0
LAST_LINES = 20
# Messages of apt, debootstrap, pip, Maven and buildah about network errors that a retry may cure.
TRANSIENT_ERROR = re.compile(
    r"connection (reset|refused|aborted|timed out)|read timed out|temporary failure|incompleteread|"
    r"remote end closed|unexpected eof|tls handshake timeout|50[0234] (bad gateway|service|gateway|internal)|"
    r"couldn't download|could not transfer artifact|hash sum mismatch",
    re.IGNORECASE,
)


def run(
    argv: Sequence[str],
    *,
    label: str,
    log: Path,
    timeout: float,
    echo: Echo,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output in ``log``; report every ten seconds that it still runs; raises BuildError."""
    started = time.monotonic()
    with log.open("wb") as output:
        output.write(f"$ {shlex.join(argv)}\n".encode())
        output.flush()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(extra or {})},
            start_new_session=True,
        )
        try:
            code = _wait(process, label=label, started=started, timeout=timeout, log=log, echo=echo)
        finally:
            _end(process)
    if code != 0:
        raise BuildError(f"{label} failed ({_cause(log, code)}); log: {log}; its last lines:\n{_last_lines(tail(log))}")


def run_with_retries(
    argv: Sequence[str],
    *,
    label: str,
    log: Path,
    timeout: float,
    echo: Echo,
    extra: Mapping[str, str] | None = None,
) -> None:
    """As ``run``, but up to three times while the log shows a network error; raises BuildError."""
    for retries_left in (2, 1, 0):
        try:
            run(argv, label=label, log=log, timeout=timeout, echo=echo, extra=extra)
        except BuildError as error:
            if not retries_left or not TRANSIENT_ERROR.search(tail(log, 8192)):
                raise
            echo(f"{error}; retrying")
        else:
            return


def output(argv: Sequence[str], *, timeout: float, extra: Mapping[str, str] | None = None) -> str:
    """Standard output of a short command; raises BuildError with its last lines."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **(extra or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{shlex.join(argv)} did not end within {timeout:.0f} s") from error
    if done.returncode != 0:
        said = _last_lines(f"{done.stdout}\n{done.stderr}")
        raise BuildError(f"{shlex.join(argv)} failed with exit code {done.returncode}:\n{said}")
    return done.stdout


def tail(log: Path, size: int = 2048) -> str:
    """The last ``size`` bytes of a log as text."""
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - size))
        return handle.read(size).decode("utf-8", "replace")


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LAST_LINES:]) or "it printed nothing"


def _wait(
    process: subprocess.Popen[bytes], *, label: str, started: float, timeout: float, log: Path, echo: Echo
) -> int:
    while True:
        elapsed = time.monotonic() - started
        if elapsed >= timeout:
            raise BuildError(f"{label} did not end within {timeout:.0f} s; log: {log}")
        if elapsed >= REPORT_EVERY:
            echo(f"{label}: {elapsed:.0f} s")
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=min(REPORT_EVERY, timeout - elapsed))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, and its children, which share its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)


def _cause(log: Path, code: int) -> str:
    lines = [line.strip() for line in tail(log).splitlines() if line.strip()]
    marked = [line for line in lines if re.search(r"error|^E: ", line, re.IGNORECASE)]
    return (marked or lines or [f"exit code {code}"])[-1][:300]
