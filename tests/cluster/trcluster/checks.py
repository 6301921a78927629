"""Check that the machine can build and run a cluster, before anything is started.

Invariant: a check changes nothing, and its error is one line.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError

GIB = 2**30
COLD_BUILD_BYTES = 12 * GIB
WARM_BUILD_BYTES = 4 * GIB  # SeaweedFS, the largest that is built after the others
RUN_BYTES = 2 * GIB

Version = tuple[int, int, int]


def _go_version_text() -> str | None:
    try:
        done = subprocess.run(
            ["go", "version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip()


def _free_bytes(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


@dataclass(frozen=True)
class Probes:
    """Functions that query the machine; tests replace them."""

    go_version: Callable[[], str | None] = _go_version_text
    free_bytes: Callable[[Path], int] = _free_bytes
    uid: Callable[[], int] = os.geteuid
    machine: Callable[[], str] = platform.machine
    cgroup_v1: Callable[[], bool] = lambda: Path("/sys/fs/cgroup/memory/cgroup.procs").exists()


def required_go(modules: Iterable[Path]) -> Version:
    """The highest ``go`` line among the given modules' go.mod files."""
    return max(_parse(_go_line(folder / "go.mod")) for folder in modules)


def _go_line(path: Path) -> str:
    found = re.search(r"^go (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ClusterError(f"{path} has no line 'go VERSION'")
    return found[1]


def _parse(text: str) -> Version:
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        return (0, 0, 0)
    return int(found[1]), int(found[2]), int(found[3] or 0)


def check_go(probes: Probes, *, at_least: Version) -> str:
    """Return what ``go version`` prints; raise ClusterError when Go is missing or older than ``at_least``."""
    wanted = ".".join(str(part) for part in at_least)
    text = probes.go_version()
    if not text:
        raise ClusterError(f"Go is not installed: install Go >= {wanted} and put it on PATH")
    found = re.search(r"\bgo(\d\S*)", text)
    if found is None or _parse(found[1]) < at_least:
        raise ClusterError(f"Go is too old: {text!r}, put Go >= {wanted} first on PATH")
    return text


def check_disk(probes: Probes, path: Path, *, cold: bool) -> None:
    """Raise ClusterError when ``path`` cannot hold a build; ``cold``: with empty Go caches."""
    _check_free(probes, path, COLD_BUILD_BYTES if cold else WARM_BUILD_BYTES, "building the cluster")


def check_space_to_run(probes: Probes, path: Path) -> None:
    """Raise ClusterError when the file system of ``path`` cannot hold a running cluster."""
    _check_free(probes, path, RUN_BYTES, "running the cluster")


def _check_free(probes: Probes, path: Path, needed: int, what: str) -> None:
    free = probes.free_bytes(path)
    if free < needed:
        raise ClusterError(
            f"not enough disk for {what}: {free / GIB:.1f} GiB free at {path},"
            f" {needed / GIB:.0f} GiB are needed; free some or set XDG_CACHE_HOME to another disk"
        )


def check_node_host(probes: Probes) -> None:
    """Raise ClusterError when this machine cannot carry the node tier."""
    if probes.uid() != 0:
        raise ClusterError(
            "tier node needs root (namespaces, cgroups, mounts): run it as root, or use --tier api or fleet"
        )
    if probes.machine() not in ("x86_64", "amd64"):
        raise ClusterError(f"tier node runs on x86_64 only, this machine is {probes.machine()}")
    if not probes.cgroup_v1():
        raise ClusterError(
            "tier node needs the cgroup v1 controllers, which this machine lacks:"
            " use another cluster (kind, minikube) with CLUSTER=current"
        )
