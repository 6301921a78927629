"""Names, folders, ports and binaries of one cluster.

Invariant: a Layout is written to cluster.json before the first process starts, and never changes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from .errors import ClusterError
from .paths import containerd_root, state_dir

HOST_IP = "10.87.0.1"
NODE_IP = "10.87.0.2"
KUBELET_SERVER_IP = "127.0.0.2"  # by which only the kubelet reaches the API server, so that it can be cut off alone
BRIDGE_IP = "10.97.0.1"
POD_CIDR = "10.97.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
NODE_NAME = "node-0"


class Tier(StrEnum):
    """How much of a cluster runs; each tier includes the previous one, except that ``node`` has no kwok."""

    API = "api"
    FLEET = "fleet"
    NODE = "node"


@dataclass(frozen=True)
class Ports:
    """TCP ports: the usual ones inside the node, free ones on the host."""

    apiserver: int = 6443
    etcd: int = 2379
    etcd_peer: int = 2380
    controller_manager: int = 10257
    scheduler: int = 10259
    kwok: int = 10247
    s3: int = 7070


@dataclass(frozen=True)
class Layout:
    """All values that the components' command lines need."""

    name: str
    tier: Tier
    ports: Ports
    binaries: dict[str, str]
    audit: bool = False
    fake_nodes: int = 5

    @property
    def state(self) -> Path:
        """The cluster's folder; ``down`` removes it."""
        return state_dir(self.name)

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def conf(self) -> Path:
        return self.state / "conf"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def pids(self) -> Path:
        return self.state / "pids"

    @property
    def kubelet(self) -> Path:
        return self.state / "kubelet"

    @property
    def s3(self) -> Path:
        return self.state / "s3"

    @property
    def audit_log(self) -> Path:
        return self.log / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig; exists once the API server answers."""
        return self.state / "kubeconfig"

    @property
    def containerd_root(self) -> Path:
        return containerd_root(self.name)

    @property
    def cgroup(self) -> str:
        return f"trainingrun-{self.name}"

    @property
    def address(self) -> str:
        """Address of the API server as the host reaches it."""
        return NODE_IP if self.tier is Tier.NODE else "127.0.0.1"

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.ports.apiserver}"

    def server_of(self, user: str) -> str:
        """Address of the API server as a component reaches it."""
        own = self.tier is Tier.NODE and user == "kubelet"
        return f"https://{KUBELET_SERVER_IP}:{self.ports.apiserver}" if own else self.server

    def binary(self, command: str) -> str:
        """Absolute path of a built command."""
        return self.binaries[command]

    def kubeconfig_of(self, user: str) -> str:
        """Path of the kubeconfig of one component."""
        return str(self.conf / f"{user}.conf")

    def save(self) -> None:
        """Write cluster.json atomically."""
        scratch = self.state / ".cluster.json"
        scratch.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        scratch.rename(self.state / "cluster.json")


def load(state: Path) -> Layout | None:
    """The layout saved in ``state``; None when there is none; raises ClusterError when it cannot be read."""
    path = state / "cluster.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Layout(**{**raw, "tier": Tier(raw["tier"]), "ports": Ports(**raw["ports"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ClusterError(f"{path} is damaged ({error}): run 'down --name {state.name}'") from error
