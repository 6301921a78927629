"""Paths of the cluster's files. Invariant: each is absolute and below the user's cache folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import ClusterError

PACKAGE = Path(__file__).resolve().parent
CONF = PACKAGE / "conf"
MODULES = PACKAGE.parent / "modules"

# The node mounts its own tmpfs over these folders, so no file of a cluster may be below them.
_HIDDEN_IN_NODE = ("/run", "/var/run", "/var/lib/kubelet", "/var/lib/cni", "/proc", "/sys", "/dev")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/trainingrun`` or ``~/.cache/trainingrun``."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if Path(configured).is_absolute() else Path("~/.cache").expanduser()
    return base / "trainingrun"


def clusters_root() -> Path:
    """The folder with one folder per cluster; not in /run, which is small and hidden in the node."""
    return cache_root() / "clusters"


def state_dir(name: str) -> Path:
    """The folder of the cluster ``name``.

    Raises ClusterError unless the name is a DNS label of at most 30 characters.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"cluster name {name!r}: use at most 30 lower-case letters, digits and '-', e.g. --name demo"
        )
    return clusters_root() / name


def containerd_root(name: str) -> Path:
    """Images of the node tier.

    Kept by ``down``, so that images are imported once; removed by ``down --purge``.
    """
    return cache_root() / "containerd" / name


def check_visible_in_node(path: Path) -> None:
    """Raise ClusterError if a mount of the node would hide ``path``."""
    text = str(path)
    for hidden in _HIDDEN_IN_NODE:
        if text == hidden or text.startswith(hidden + "/"):
            raise ClusterError(
                f"cache folder {path} is below {hidden}, where the node mounts its own folder:"
                " set XDG_CACHE_HOME to a folder on disk"
            )
