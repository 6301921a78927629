"""Stop a cluster and remove what it created.

Invariant: needs only the state folder and /proc, wherever ``up`` has ended.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import node, process
from .errors import ClusterError
from .layout import Layout, Tier, load
from .paths import clusters_root


def clear(state: Path) -> None:
    """Remove everything a cluster created, including its state folder; harmless when there is nothing."""
    if not state.exists():
        return
    process.kill_members(state)
    try:
        layout = load(state)
    except ClusterError:
        layout = None  # damaged, but its processes have ended
    if layout is not None:
        stop(layout)
    shutil.rmtree(state)


def stop(layout: Layout) -> None:
    """End all processes and restore the host; the state folder stays, because of its logs."""
    process.kill_members(layout.state)
    if layout.tier is Tier.NODE:
        node.remove(layout)


def refuse_second_node(name: str) -> None:
    """Raise ClusterError when another cluster has the node's fixed addresses."""
    for folder in clusters_root().iterdir():
        if folder.name == name or not folder.is_dir():
            continue
        layout = load(folder)
        if layout is not None and layout.tier is Tier.NODE and process.members(folder):
            raise ClusterError(
                f"cluster {folder.name} of tier node is up, and a machine carries one node:"
                f" first 'down --name {folder.name}'"
            )
