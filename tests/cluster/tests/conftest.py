"""Fixtures that record what a cluster changes on the host.

Invariant: a HostState contains only what the cluster can change, and nothing that other programs change meanwhile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from trcluster import process
from trcluster.cgroups import hierarchies
from trcluster.command import run
from trcluster.paths import cache_root

_NAMESPACES = ("mnt", "net", "pid", "uts", "ipc")


@dataclass(frozen=True)
class HostState:
    """Mounts, links, routes, packet rules, cgroup folders and kernel settings of the host."""

    mounts: frozenset[str]
    links: frozenset[str]
    routes: str
    rules: str
    cgroups: frozenset[str]
    inotify_instances: str


def _output(*argv: str) -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return run(argv, timeout=60, env={**os.environ, "PATH": path})


def _mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def _mounts() -> frozenset[str]:
    """Mount points, except those of image builds, which may run at the same time."""
    points = (line.split(" ")[4] for line in _mountinfo().splitlines())
    return frozenset(point for point in points if not point.startswith(f"{cache_root()}/images/"))


def _cgroups() -> frozenset[str]:
    """Top-level cgroup folders, except those of image builds."""
    tops = hierarchies(_mountinfo(), ("cgroup", "cgroup2"))
    folders = (folder for top in tops for folder in top.glob("*") if folder.is_dir())
    return frozenset(str(folder) for folder in folders if not folder.name.startswith("buildah-"))


def _rules() -> str:
    """Packet rules from iptables-save, without comments and counters, which always change."""
    return re.sub(r"^#.*\n|\[\d+:\d+\]", "", _output("iptables-save"), flags=re.MULTILINE)


@pytest.fixture
def host_state() -> Callable[[], HostState]:
    """A function that records the current state of the host."""

    def look() -> HostState:
        return HostState(
            mounts=_mounts(),
            links=frozenset(link.name for link in Path("/sys/class/net").iterdir()),
            routes=_output("ip", "route", "show", "table", "all"),
            rules=_rules(),
            cgroups=_cgroups(),
            inotify_instances=Path("/proc/sys/fs/inotify/max_user_instances").read_text(encoding="ascii"),
        )

    return look


def _namespaces(pid: int) -> set[str]:
    try:
        return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in _NAMESPACES}
    except OSError:
        return set()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


@pytest.fixture
def processes_in() -> Callable[[set[str]], dict[int, str]]:
    """A function that finds the processes in given namespaces: command lines by pid."""

    def look(namespaces: set[str]) -> dict[int, str]:
        found = {pid for pid in _pids() if _namespaces(pid) & namespaces}
        return {pid: Path(f"/proc/{pid}/cmdline").read_text(errors="replace") for pid in found}

    return look


@pytest.fixture
def namespaces_below() -> Callable[[Path], set[str]]:
    """A function that finds the namespaces, except the host's, of a cluster's processes and their descendants."""

    def look(state: Path) -> set[str]:
        parents = {pid: _parent(pid) for pid in _pids()}
        found = set(process.members(state))
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return {name for pid in found for name in _namespaces(pid)} - _namespaces(os.getpid())

    return look
