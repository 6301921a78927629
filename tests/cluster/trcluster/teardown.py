"""How a cluster ends.

Invariant: works from the state folder and /proc alone, at whatever point ``up`` ended.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import node, process
from .errors import ClusterError
from .layout import Layout, Tier, load
from .paths import clusters_root


def clear(state: Path) -> None:
    """Remove whatever a cluster made, its state folder included; harmless when there is nothing."""
    if not state.exists():
        return
    process.kill_members(state)
    try:
        layout = load(state)
    except ClusterError:
        layout = None  # damaged; its processes are gone, which is what could harm
    if layout is not None:
        stop(layout)
    shutil.rmtree(state)


def stop(layout: Layout) -> None:
    """End all processes and clear the host; the state folder stays, because its logs may be wanted."""
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
