"""Create and remove the node's cgroups (version 1): one top-level folder per hierarchy.

Invariant: only folders named after the cluster are changed; nested folders are removed first.
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
    """Create the folder in each hierarchy; cpuset accepts tasks only after CPUs and memory nodes are set."""
    for hierarchy in hierarchies(_mountinfo()):
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text(encoding="ascii"), encoding="ascii")


def remove(name: str, timeout: float = 30) -> None:
    """Remove the folders and all below; raises WaitError when the kernel holds one longer than ``timeout``."""
    # If version 2 is mounted as well, the container runtime creates folders there too.
    tops = [hierarchy / name for hierarchy in hierarchies(_mountinfo(), ("cgroup", "cgroup2"))]
    what = f"the kernel to let go of cgroup {name}: processes in its cgroup.procs still live"
    until(lambda: all(_remove_tree(top) for top in tops), what=what, seconds=timeout, every=0.02)


def _remove_tree(top: Path) -> bool:
    """Remove ``top`` and its subfolders; returns whether it is gone."""
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # busy: a task in it has not ended yet
            return False
    return True
