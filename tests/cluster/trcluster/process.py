"""Start, find and end the processes of one cluster.

Invariant: every process we start carries its cluster's state folder in its environment, and its children
inherit it. So /proc alone shows a cluster's processes, even after the program that started them has ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from . import command
from .debian import path_variable
from .errors import ClusterError

MARK = "TRAININGRUN_CLUSTER_STATE"
# Our own children must be waited for, or they stay as zombies while this program lives.
_children: list[subprocess.Popen[bytes]] = []


def environment(state: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for everything that belongs to the cluster in ``state``; without proxies."""
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
    # Popen can return before the kernel has set up the new program; until then its environment reads as empty.
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
    """Run a command of the cluster's to its end and return its standard output; raises CommandError."""
    return command.run(argv, timeout=timeout, stdin=stdin or "", env=environment(state, extra))


def _environment_of(pid: int) -> bytes:
    """Environment of a process as it was started; empty once it ends, even before it has closed its files."""
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
    if state_letter in "ZX" and threads <= 1:  # its other threads may keep files open a little longer
        return True
    environ = _environment_of(pid)
    return bool(environ) and not _has_mark(environ, state)  # the pid now belongs to another program


def members(state: Path) -> list[int]:
    """Pids of all running processes of the cluster in ``state``, except this program."""
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
    """Send a signal; a process that has ended is not an error."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def reap() -> None:
    """Collect those of our children that have ended."""
    for child in [each for each in _children if each.poll() is not None]:
        with suppress(ValueError):  # another thread has removed it
            _children.remove(child)


def kill_members(state: Path, timeout: float = 60) -> None:
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


def end_of(log: Path) -> str:
    """The path of a log and its last lines, for an error message."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - 16384))
            text = handle.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return f"no log {log}"
    return f"the end of {log}:\n{command.last_lines(text) or '(empty)'}"
