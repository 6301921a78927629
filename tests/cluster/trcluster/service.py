"""Start, stop, kill, pause, resume and restart single daemons.

Invariant: a pid file is written right after the start, and used only while that process belongs to the cluster.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import node, process
from .component import Component
from .errors import ClusterError
from .layout import Layout, Tier
from .tiers import COMPONENTS

GRACE_SECONDS = 20.0
KILL_SECONDS = 10.0


def component(layout: Layout, name: str) -> Component:
    """Find a component of the cluster's tier; the ClusterError for an unknown name lists all."""
    for candidate in COMPONENTS[layout.tier]:
        if candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in COMPONENTS[layout.tier])
    raise ClusterError(f"no service {name!r} in tier {layout.tier}: choose one of {names}")


def log_file(layout: Layout, name: str) -> Path:
    """Log file of one service."""
    return layout.log / f"{name}.log"


def start(layout: Layout, name: str) -> None:
    """Start one service; raises ClusterError when it is already running."""
    if pid(layout, name) is not None:
        raise ClusterError(f"service {name} of cluster {layout.name} is already running: stop or restart it")
    chosen = component(layout, name)
    argv = list(chosen.argv(layout))
    if _inside(layout, chosen):
        argv = node.enter(layout) + argv
    started = process.spawn(argv, state=layout.state, log=log_file(layout, name), extra=chosen.environment(layout))
    (layout.pids / name).write_text(str(started), encoding="ascii")


def _inside(layout: Layout, chosen: Component) -> bool:
    return layout.tier is Tier.NODE and not chosen.on_host


def _pids(layout: Layout, name: str) -> list[int]:
    """Pids on the host: of the daemon, then of the nsenter that waits for it.

    Empty when the daemon does not run.
    """
    process.reap()
    try:
        started = int((layout.pids / name).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return []
    if not process.belongs(started, layout.state):
        return []
    if not _inside(layout, component(layout, name)):
        return [started]
    daemon = process.child_of(started)
    return [] if daemon is None else [daemon, started]


def pid(layout: Layout, name: str) -> int | None:
    """Host pid of a running service; None when it does not run."""
    return next(iter(_pids(layout, name)), None)


def _required(layout: Layout, name: str) -> list[int]:
    component(layout, name)
    pids = _pids(layout, name)
    if not pids:
        raise ClusterError(f"service {name} of cluster {layout.name} does not run: 'service start {name}'")
    return pids


def _end(layout: Layout, pids: list[int], number: signal.Signals, seconds: float) -> bool:
    """Send the signal and wait; returns whether the daemon has ended."""
    process.send(pids[0], number)
    deadline = time.monotonic() + seconds
    while not all(process.has_ended(each, layout.state) for each in pids):
        for each in pids:  # a paused process and its nsenter end only after they are resumed
            process.send(each, signal.SIGCONT)
        process.reap()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def stop(layout: Layout, name: str) -> None:
    """Send SIGTERM, and SIGKILL after 20 seconds, as a kubelet does."""
    if not _end(layout, _required(layout, name), signal.SIGTERM, GRACE_SECONDS):
        kill(layout, name)


def kill(layout: Layout, name: str) -> None:
    """Send SIGKILL and wait for the end."""
    if not _end(layout, _required(layout, name), signal.SIGKILL, KILL_SECONDS):
        raise ClusterError(f"service {name} does not end after SIGKILL: see 'ps -o stat,wchan,cmd'")


def pause(layout: Layout, name: str) -> None:
    """Send SIGSTOP: the daemon keeps its sockets open and answers nothing."""
    process.send(_required(layout, name)[0], signal.SIGSTOP)


def resume(layout: Layout, name: str) -> None:
    """Send SIGCONT, also to the nsenter, which stops together with the daemon."""
    for each in _required(layout, name):
        process.send(each, signal.SIGCONT)


def restart(layout: Layout, name: str) -> None:
    """Stop the service if it runs, then start it."""
    component(layout, name)
    if pid(layout, name) is not None:
        stop(layout, name)
    start(layout, name)


ACTIONS: Mapping[str, Callable[[Layout, str], None]] = {
    "start": start,
    "stop": stop,
    "kill": kill,
    "pause": pause,
    "resume": resume,
    "restart": restart,
}
