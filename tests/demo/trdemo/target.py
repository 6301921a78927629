"""The cluster that the demo runs on: a new test cluster, or with CLUSTER=current the one of your kubeconfig.

Invariant: with CLUSTER=current, the demo creates and deletes its own objects and changes nothing else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from trcluster import Cluster, current
from trcluster.build import ensure as ensure_binaries
from trcluster.command import run
from trdemo.shell import DemoError, Kubectl


@dataclass(frozen=True, slots=True)
class Storage:
    """An S3 server: `endpoint` as this machine reaches it, `in_cluster` as pods reach it."""

    endpoint: str
    in_cluster: str
    access_key: str
    secret_key: str


class OwnCluster:
    """The test cluster on this machine, built from source."""

    def __init__(self, *, name: str, echo: Callable[[str], None]) -> None:
        self.cluster = Cluster(name, tier="node", echo=echo)
        self.description = f"cluster {name!r} on this machine"

    def up(self) -> None:
        """Start the cluster; one that is already running is used as it is."""
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
        except Exception:  # noqa: BLE001 - a cluster that cannot report its status is started again
            return False

    def load_images(self, archives: Iterable[Path]) -> None:
        """Import the images that the node lacks."""
        self.cluster.import_images(list(archives))


class CurrentCluster:
    """The cluster of your kubeconfig; environment variables name its S3 server and how to load images."""

    def __init__(self) -> None:
        env = os.environ
        config = str(current.kubeconfig())
        names = ("DEMO_S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        missing = [name for name in names if not env.get(name)]
        if missing:
            raise DemoError(
                f"CLUSTER=current needs {', '.join(missing)}: an S3 server that the pods can reach, and its keys"
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
        """Load images with kind, or with the command in DEMO_LOAD_IMAGE, which gets the path of an archive."""
        loader = os.environ.get("DEMO_LOAD_IMAGE", "kind load image-archive").split()
        if not shutil.which(loader[0]):
            raise DemoError(
                f"{loader[0]} is not installed: install it, or set DEMO_LOAD_IMAGE to a command that gets the path "
                "of an OCI archive and loads the image onto the cluster's nodes"
            )
        for archive in archives:
            run([*loader, str(archive)], timeout=600)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise DemoError(f"{name} is not on PATH: install it, CLUSTER=current uses your own")
    return found


Target = OwnCluster | CurrentCluster


def choose(*, name: str, echo: Callable[[str], None]) -> Target:
    """Return the cluster that the variable CLUSTER asks for; a test cluster is started when it is not up."""
    if current.wanted():
        return CurrentCluster()
    own = OwnCluster(name=name, echo=echo)
    own.up()
    return own
