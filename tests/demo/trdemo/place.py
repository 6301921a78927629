"""Where the demo runs: a cluster of its own, or (CLUSTER=current) the one that kubectl would use.

Invariant: with CLUSTER=current nothing of the cluster is started or stopped but the demo's own objects.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trcluster import Cluster, current
from trcluster.build import ensure as ensure_binaries
from trcluster.command import run
from trdemo.shell import DemoError, Kubectl


@dataclass(frozen=True, slots=True)
class Storage:
    """S3 as this machine and as pods reach it."""

    endpoint: str
    in_cluster: str
    access_key: str
    secret_key: str


class Place(Protocol):
    """A cluster that is up, with storage and tools."""

    kubectl: Kubectl
    helm: str
    storage: Storage
    description: str

    def load_images(self, archives: Iterable[Path]) -> None:
        """Make images available to the nodes."""


class OwnCluster:
    """The test cluster, built from source."""

    def __init__(self, *, name: str, echo: Callable[[str], None]) -> None:
        self.cluster = Cluster(name, tier="node", echo=echo)
        self.description = f"cluster {name!r} on this machine"

    def up(self) -> None:
        """Start it; one that runs already is used as it is."""
        if not self._running():
            self.cluster.up()
        binaries = ensure_binaries(("kubectl", "helm"), echo=self.cluster.echo, probes=self.cluster.probes)
        self.kubectl = Kubectl(str(binaries["kubectl"]), kubeconfig=str(self.cluster.kubeconfig))
        self.helm = str(binaries["helm"])
        s3 = self.cluster.s3
        self.storage = Storage(s3.endpoint, s3.in_cluster, s3.access_key, s3.secret_key)

    def _running(self) -> bool:
        if not self.cluster.state.exists():
            return False
        try:
            return all(each.pid is not None for each in self.cluster.status())
        except Exception:  # noqa: BLE001 - a half-made cluster of any kind is made anew
            return False

    def load_images(self, archives: Iterable[Path]) -> None:
        """Import what the node lacks."""
        self.cluster.import_images(list(archives))


class CurrentCluster:
    """The cluster of the kubeconfig at hand; storage and images are told by environment variables."""

    def __init__(self) -> None:
        env = os.environ
        config = str(current.kubeconfig())
        names = ("DEMO_S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        missing = [name for name in names if not env.get(name)]
        if missing:
            raise DemoError(
                f"CLUSTER=current needs {', '.join(missing)}: the S3 server that pods of the cluster can reach"
            )
        self.kubectl = Kubectl(_tool("kubectl"), kubeconfig=config)
        self.helm = _tool("helm")
        self.storage = Storage(
            env.get("DEMO_S3_LOCAL_ENDPOINT") or env["DEMO_S3_ENDPOINT"],
            env["DEMO_S3_ENDPOINT"],
            env["AWS_ACCESS_KEY_ID"],
            env["AWS_SECRET_ACCESS_KEY"],
        )
        self.description = f"the cluster of {config}"

    def load_images(self, archives: Iterable[Path]) -> None:
        """Load into kind, or by a command of the user's that takes an archive's path."""
        loader = os.environ.get("DEMO_LOAD_IMAGE", "kind load image-archive").split()
        if not shutil.which(loader[0]):
            raise DemoError(
                f"{loader[0]} is not installed; set DEMO_LOAD_IMAGE to a command that takes the path of an OCI archive "
                "and brings the image to the cluster's nodes"
            )
        for archive in archives:
            run([*loader, str(archive)], timeout=600)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise DemoError(f"{name} is not on PATH; CLUSTER=current uses yours")
    return found


def choose(*, name: str, echo: Callable[[str], None]) -> OwnCluster | CurrentCluster:
    """The place that CLUSTER asks for, up and running."""
    if current.wanted():
        return CurrentCluster()
    own = OwnCluster(name=name, echo=echo)
    own.up()
    return own
