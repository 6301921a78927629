"""Manage Node objects: create the fake nodes of tier fleet, set the GPU count of the real node, wait for Ready.

Invariant: no daemon is started here.
"""

from __future__ import annotations

import json

from .errors import ClusterError
from .kubectl import http_ok, kubectl, wait
from .layout import NODE_IP, NODE_NAME, Layout, Tier
from .waiting import until

GPU = "nvidia.com/gpu"
_FAKE_GPUS = 8


def add_fake(layout: Layout) -> None:
    """Create the fake nodes with 8 GPUs each and wait until kwok has made them Ready."""
    names = [f"fake-{number}" for number in range(layout.fake_nodes)]
    amounts = {
        "cpu": "64",
        "memory": "512Gi",
        "pods": "250",
        "ephemeral-storage": "1Ti",
        GPU: str(_FAKE_GPUS),
    }
    items = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"type": "kwok", "kubernetes.io/hostname": name}},
            "status": {"capacity": amounts, "allocatable": amounts},
        }
        for name in names
    ]
    # Not a server-side apply, which ignores the status.
    kubectl(layout, "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    wait(layout, "--for=condition=Ready", *(f"node/{name}" for name in names))


def set_gpus(layout: Layout, count: int) -> None:
    """Let the real node advertise ``count`` GPUs, without devices; returns when they are allocatable."""
    if layout.tier is not Tier.NODE:
        raise ClusterError(f"cluster {layout.name} is of tier {layout.tier}: 'gpu set' is for tier node")
    amounts = {GPU: str(count)}
    patch = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
    kubectl(layout, "patch", "node", NODE_NAME, "--subresource=status", "--type=merge", "-p", patch)
    until(
        lambda: _allocatable(layout) == str(count),
        what=f"node {NODE_NAME} to show {count} {GPU} (see 'logs kubelet')",
        seconds=60,
        every=0.5,
    )


def _allocatable(layout: Layout) -> str:
    node = json.loads(kubectl(layout, "get", "node", NODE_NAME, "-o", "json"))
    return str(node["status"].get("allocatable", {}).get(GPU, ""))


def wait_ready(layout: Layout) -> None:
    """Wait until the real node is Ready."""
    wait(layout, "--for=condition=Ready", f"node/{NODE_NAME}")


def dns_answers(_layout: Layout) -> bool:
    """Whether CoreDNS has read the cluster's Services."""
    return http_ok(f"http://{NODE_IP}:8181/ready")
