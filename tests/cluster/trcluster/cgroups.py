"""The node's cgroups (version 1): one folder per hierarchy, beside the caller's own.

Invariant: only folders named after the cluster are touched, and they are removed leaf first.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from .waiting import until


def hierarchies(mountinfo: str, kinds: Collection[str] = ("cgroup",)) -> list[Path]:
    """Mount points of the hierarchies, from the text of /proc/self/mountinfo; kind "cgroup" is version 1."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] in kinds:
            found.append(Path(before.split(" ")[4]))
    return list(dict.fromkeys(found))


def _mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def create(name: str) -> None:
    """Make the folder in each hierarchy; cpuset takes tasks only once it has CPUs and memory nodes."""
    for hierarchy in hierarchies(_mountinfo()):
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text(encoding="ascii"), encoding="ascii")


def remove(name: str, timeout: float = 30) -> None:
    """Remove the folders and all below; raises WaitError when the kernel holds one longer than ``timeout``."""
    # Where version 2 is mounted beside the others, the container runtime makes folders there too.
    tops = [hierarchy / name for hierarchy in hierarchies(_mountinfo(), ("cgroup", "cgroup2"))]
    what = f"the kernel to let go of cgroup {name}: processes in its cgroup.procs still live"
    until(lambda: all(_remove_tree(top) for top in tops), what=what, seconds=timeout, every=0.02)


def _remove_tree(top: Path) -> bool:
    """Whether nothing is left of ``top``."""
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # busy: a task in it is still ending
            return False
    return True
