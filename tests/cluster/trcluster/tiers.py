"""Components and commands of each tier.

Invariant: components of a stage start in the order listed here.
"""

from __future__ import annotations

from collections.abc import Mapping

from .component import Component
from .controlplane import APISERVER, CONTROLLER_MANAGER, ETCD, KWOK, SCHEDULER
from .layout import Tier
from .nodeplane import CONTAINERD, COREDNS, KUBE_PROXY, KUBELET, S3

_KUBERNETES = ("kube-apiserver", "kubectl", "kubeadm", "kube-controller-manager", "kube-scheduler")

COMPONENTS: Mapping[Tier, tuple[Component, ...]] = {
    Tier.API: (ETCD, APISERVER),
    Tier.FLEET: (ETCD, APISERVER, CONTROLLER_MANAGER, SCHEDULER, KWOK),
    Tier.NODE: (ETCD, CONTAINERD, S3, APISERVER, CONTROLLER_MANAGER, SCHEDULER, KUBELET, KUBE_PROXY, COREDNS),
}
COMMANDS: Mapping[Tier, tuple[str, ...]] = {
    Tier.API: (*_KUBERNETES, "etcd"),
    Tier.FLEET: (*_KUBERNETES, "etcd", "kwok"),
    Tier.NODE: (
        *_KUBERNETES,
        "kubelet",
        "kube-proxy",
        "etcd",
        "coredns",
        "versitygw",
        "helm",
        "pause",
        "probe",
    ),
}
