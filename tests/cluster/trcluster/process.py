"""Starts, finds and ends the processes of one cluster.

Invariant: every process we start carries its cluster's state folder in its environment, and its children
inherit it. So a cluster's processes are found in /proc alone, also when the program that started them is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .debian import path_variable
from .errors import ClusterError

MARK = "TRAININGRUN_CLUSTER_STATE"
# Our own children must be waited for, or they stay as zombies while this program lives.
_children: list[subprocess.Popen[bytes]] = []


def environment(state: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for everything that belongs to the cluster in ``state``; no proxy stands before a cluster here."""
    return {**os.environ, "PATH": path_variable(), "NO_PROXY": "*", "no_proxy": "*", MARK: str(state), **(extra or {})}


def spawn(argv: Sequence[str], *, state: Path, log: Path, extra: Mapping[str, str] | None = None) -> int:
    """Start a daemon in its own session, its output appended to ``log``; return its pid once it carries the mark."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(state, extra),
            start_new_session=True,
        )
    _children.append(process)
    # Popen returns while the kernel still lays out the new program; until it has, the environment reads as empty.
    while process.poll() is None and not belongs(process.pid, state):
        time.sleep(0.001)
    return process.pid


def run(
    argv: Sequence[str],
    *,
    state: Path,
    timeout: float = 60,
    stdin: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Run a command to its end and return its standard output.

    Raises ClusterError with its last line of error.
    """
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            input=stdin or "",
            env=environment(state, extra),
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{' '.join(argv[:6])} … did not end within {timeout:.0f} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ClusterError(f"{' '.join(argv[:8])} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def _environment_of(pid: int) -> bytes:
    """As started; empty once the process ends, even before it has closed its files."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _has_mark(environ: bytes, state: Path) -> bool:
    return f"{MARK}={state}".encode() in environ.split(b"\0")


def belongs(pid: int, state: Path) -> bool:
    """Whether the running process ``pid`` carries the mark of ``state``."""
    return _has_mark(_environment_of(pid), state)


def has_ended(pid: int, state: Path) -> bool:
    """Whether a process of the cluster has ended with its ports and files closed (a zombie has)."""
    try:
        state_letter = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return True
    if state_letter in "ZX" and threads <= 1:  # its other threads may hold the files a little longer
        return True
    environ = _environment_of(pid)
    return bool(environ) and not _has_mark(environ, state)  # another program got the number


def members(state: Path) -> list[int]:
    """Pids of all living processes of the cluster in ``state``, this program excepted."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and belongs(pid, state)]


def child_of(pid: int) -> int | None:
    """The first child of ``pid``; None when it has none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is no error."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def reap() -> None:
    """Collect those of our children that have ended."""
    for child in [each for each in _children if each.poll() is not None]:
        with suppress(ValueError):  # another thread was first
            _children.remove(child)


def kill_members(state: Path, timeout: float = 10) -> None:
    """SIGKILL every process of the cluster until none is left; raises ClusterError when some stay."""
    deadline = time.monotonic() + timeout
    pids: set[int] = set()
    while pids := {pid for pid in pids | set(members(state)) if not has_ended(pid, state)}:
        for pid in pids:
            send(pid, signal.SIGKILL)
        reap()
        if time.monotonic() > deadline:
            raise ClusterError(f"processes {sorted(pids)} of {state} do not end: see 'ps -o pid,stat,wchan,cmd'")
        time.sleep(0.02)
    reap()


def wait_until(probe: Callable[[], bool], *, what: str, timeout: float, log: Path, interval: float = 0.05) -> None:
    """Poll ``probe`` until it is true; raises ClusterError that names the log and its last line."""
    deadline = time.monotonic() + timeout
    while not probe():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} not ready after {timeout:.0f} s; last line of {log}: {last_line(log)}")
        time.sleep(interval)


def last_line(log: Path) -> str:
    """The last line of a log, cut to 300 characters."""
    try:
        with log.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 4096))
            lines = handle.read().decode("utf-8", "replace").strip().splitlines()
    except FileNotFoundError:
        return "(no log)"
    return lines[-1][:300] if lines else "(empty)"
