"""Create keys, certificates and kubeconfigs with the phases of kubeadm.

Invariant: no process is started and no server is called.
"""

from __future__ import annotations

import re
from pathlib import Path

from . import process
from .layout import HOST_IP, KUBELET_SERVER_IP, NODE_NAME, SERVICE_CIDR, Layout, Tier
from .modules import KUBERNETES

# kubeadm does not accept a loopback address here. This one (TEST-NET-2) is never used: it is replaced after writing.
_PLACEHOLDER = "198.51.100.1"

_CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: "{advertise}", bindPort: {port}}}
nodeRegistration: {{name: "{node}", criSocket: "unix:///run/containerd/containerd.sock"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {version}
clusterName: "{name}"
controlPlaneEndpoint: "{address}:{port}"
certificatesDir: "{pki}"
encryptionAlgorithm: ECDSA-P256
networking: {{serviceSubnet: "{services}", dnsDomain: cluster.local}}
apiServer: {{certSANs: ["127.0.0.1", "{kubelet}", "localhost", "{host}"]}}
"""


def config(layout: Layout) -> str:
    """The kubeadm configuration of a cluster."""
    return _CONFIG.format(
        advertise=layout.address if layout.tier is Tier.NODE else _PLACEHOLDER,
        port=layout.ports.apiserver,
        node=NODE_NAME,
        version=KUBERNETES,
        name=layout.name,
        address=layout.address,
        pki=layout.pki,
        services=SERVICE_CIDR,
        host=HOST_IP,
        kubelet=KUBELET_SERVER_IP,
    )


def create(layout: Layout) -> None:
    """Write all certificates to ``pki/`` and all kubeconfigs to ``conf/``; about a second of work."""
    path = layout.state / "kubeadm.yaml"
    path.write_text(config(layout), encoding="utf-8")
    _kubeadm(layout, "init", "phase", "certs", "all", "--config", str(path))
    _kubeadm(
        layout,
        "init",
        "phase",
        "kubeconfig",
        "all",
        "--config",
        str(path),
        "--kubeconfig-dir",
        str(layout.conf),
    )
    for user in _extra_users(layout.tier):
        organization = ["--org=system:masters"] if user == "kwok" else []
        text = _kubeadm(layout, "kubeconfig", "user", "--config", str(path), "--client-name", user, *organization)
        _write_private(layout.conf / f"{user.removeprefix('system:')}.conf", text)
    for kubeconfig in layout.conf.glob("*.conf"):
        # Some phases write localAPIEndpoint, others controlPlaneEndpoint: all must name the same server.
        server = layout.server_of(kubeconfig.stem)
        text = kubeconfig.read_text(encoding="utf-8")
        _write_private(kubeconfig, re.sub(r"server: https://\S+", f"server: {server}", text))


def _extra_users(tier: Tier) -> tuple[str, ...]:
    return {Tier.API: (), Tier.FLEET: ("kwok",), Tier.NODE: ("system:kube-proxy", "coredns")}[tier]


def _kubeadm(layout: Layout, *arguments: str) -> str:
    return process.run([layout.binary("kubeadm"), *arguments], state=layout.state, timeout=60)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
