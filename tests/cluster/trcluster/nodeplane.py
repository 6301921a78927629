"""Command lines of the daemons of tier node: containerd, kubelet, kube-proxy, CoreDNS, the S3 server.

Invariant: only the S3 server uses ports of the host, because it serves both host and pods.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from . import debian
from .component import Component, Stage, flags
from .errors import ClusterError
from .layout import HOST_IP, NODE_IP, NODE_NAME, Layout


def _containerd(layout: Layout) -> list[str]:
    program = debian.find("containerd")
    if program is None:
        raise ClusterError("containerd not found on PATH: apt-get install containerd")
    return [program, "--config", str(layout.conf / "containerd.toml")]


def _kubelet(layout: Layout) -> list[str]:
    return [
        layout.binary("kubelet"),
        *flags(
            config=str(layout.conf / "kubelet.yaml"),
            kubeconfig=layout.kubeconfig_of("kubelet"),
            hostname_override=NODE_NAME,
            node_ip=NODE_IP,
            root_dir=str(layout.kubelet),
            cert_dir=str(layout.kubelet / "pki"),
        ),
    ]


def _kube_proxy(layout: Layout) -> list[str]:
    return [layout.binary("kube-proxy"), *flags(config=str(layout.conf / "kube-proxy.yaml"))]


def _coredns(layout: Layout) -> list[str]:
    return [layout.binary("coredns"), "-conf", str(layout.conf / "Corefile")]


def _s3(layout: Layout) -> list[str]:
    port = layout.ports.s3
    return [
        layout.binary("versitygw"),
        "--port",
        f"127.0.0.1:{port}",
        "--port",
        f"{HOST_IP}:{port}",
        "--health",
        "/healthz",
        "--keep-alive",  # otherwise it closes each connection after one request
        "--iam-dir",
        str(layout.s3 / "iam"),
        "--quiet",
        "posix",
        str(layout.s3 / "data"),
    ]


def _s3_environment(layout: Layout) -> Mapping[str, str]:
    """The root account; in the environment, because all users of the machine can read arguments."""
    saved = json.loads((layout.state / "s3.json").read_text(encoding="utf-8"))
    return {"ROOT_ACCESS_KEY": saved["accessKey"], "ROOT_SECRET_KEY": saved["secretKey"]}


CONTAINERD = Component("containerd", Stage.STORE, _containerd)
S3 = Component("s3", Stage.STORE, _s3, environment=_s3_environment, on_host=True)
KUBELET = Component("kubelet", Stage.REST, _kubelet)
KUBE_PROXY = Component("kube-proxy", Stage.REST, _kube_proxy)
COREDNS = Component("coredns", Stage.REST, _coredns)
