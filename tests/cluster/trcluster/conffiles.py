"""Write the configuration files from the templates in conf/.

Invariant: an unknown @KEY@ in a template is an error.
"""

from __future__ import annotations

import re

from . import debian, images
from .errors import ClusterError
from .layout import BRIDGE_IP, HOST_IP, NODE_IP, NODE_NAME, POD_CIDR, Layout, Tier
from .paths import CONF

_ALWAYS = {"audit-policy.yaml": "audit-policy.yaml"}
_BY_TIER: dict[Tier, dict[str, str]] = {
    Tier.API: {},
    Tier.FLEET: {"kwok-stages.yaml": "kwok-stages.yaml"},
    Tier.NODE: {
        "containerd.toml": "containerd.toml",
        "kubelet.yaml": "kubelet.yaml",
        "kube-proxy.yaml": "kube-proxy.yaml",
        "Corefile": "Corefile",
        "bootstrap.yaml": "bootstrap.yaml",
        "cni.conflist": "cni/10-bridge.conflist",
    },
}


def render(layout: Layout, template: str) -> str:
    """Fill one template with the cluster's values."""
    values = {
        "BRIDGE_IP": BRIDGE_IP,
        "CGROUP": layout.cgroup,
        "CONF": str(layout.conf),
        "CONTAINERD_ROOT": str(layout.containerd_root),
        "HOST_IP": HOST_IP,
        "KUBELET": str(layout.kubelet),
        "NODE": NODE_NAME,
        "NODE_IP": NODE_IP,
        "PAUSE": images.PAUSE,
        "PKI": str(layout.pki),
        "POD_CIDR": POD_CIDR,
        "S3_PORT": str(layout.ports.s3),
        "STATE": str(layout.state),
    }
    if layout.tier is Tier.NODE:
        values["CNI"] = str(debian.cni_folder())

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ClusterError(f"conf/{template} uses @{found[1]}@, which tier {layout.tier} does not know")
        return values[found[1]]

    return re.sub(r"@([A-Z0-9_]+)@", value, (CONF / template).read_text(encoding="utf-8"))


def write(layout: Layout) -> None:
    """Write all configuration files of the cluster's tier."""
    for template, target in {**_ALWAYS, **_BY_TIER[layout.tier]}.items():
        path = layout.conf / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(layout, template), encoding="utf-8")
    if layout.tier is Tier.NODE:
        (layout.conf / "resolv.conf").touch()  # empty, so pods resolve only names of the cluster
