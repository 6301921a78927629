"""Find the processes of a node's containers on the host, to send signals or to enter their network.

Invariant: only processes in the cluster's own cgroups are found, never other processes of the host.
"""

from __future__ import annotations

from pathlib import Path

from .layout import Layout
from .waiting import until


def main_process(layout: Layout, container_id: str, *, timeout: float = 30) -> int:
    """Find the host's pid of a container's first process; raises WaitError when there is none."""
    found = until(
        lambda: [pid for pid in _processes(layout, container_id) if _number_inside(pid) == 1],
        what=f"container {container_id[:12]} of cluster {layout.name} to have a running process",
        seconds=timeout,
        every=0.05,
    )
    return found[0]


def _processes(layout: Layout, container_id: str) -> list[int]:
    def inside(pid: int) -> bool:
        paths = [line.split(":", 2)[2] for line in _read(pid, "cgroup").splitlines()]
        return any(path.startswith(f"/{layout.cgroup}/") and container_id in path for path in paths)

    return [
        pid for pid in map(int, filter(str.isdigit, (each.name for each in Path("/proc").iterdir()))) if inside(pid)
    ]


def _number_inside(pid: int) -> int:
    """Pid of a process in its own namespace; 0 if it has ended."""
    numbers = [line.split()[1:] for line in _read(pid, "status").splitlines() if line.startswith("NSpid:")]
    return int(numbers[0][-1]) if numbers and numbers[0] else 0


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
