"""``CLUSTER=current``: the cluster that kubectl would use.

Invariant: nothing is started, changed or stopped.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import ClusterError


def wanted() -> bool:
    """Whether CLUSTER=current is set; raises ClusterError for any other value."""
    value = os.environ.get("CLUSTER", "")
    if value not in ("", "current"):
        raise ClusterError(f"CLUSTER={value!r} is not known: leave it unset, or set CLUSTER=current")
    return value == "current"


def kubeconfig() -> Path:
    """``$KUBECONFIG`` (its first file) or ``~/.kube/config``.

    Raises ClusterError when that does not exist.
    """
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    path = Path(first).absolute() if first else Path("~/.kube/config").expanduser()
    if not path.is_file():
        raise ClusterError(f"CLUSTER=current, but {path} does not exist: set KUBECONFIG")
    return path
