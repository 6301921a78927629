"""Keys of labels and annotations of pods: their syntax, and those that nobody but Kubernetes and the operator writes.

The CRD has the same rules in CEL for what a user writes; the chart's schema has those for what the installer writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trainingrun.api.names import GROUP, LABEL_COMPONENT, LABEL_MANAGED_BY

# Tells the cluster autoscaler whether it may move the pod; it is an annotation of users, in a domain of Kubernetes.
SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"

# Tells the webhook of Amazon EKS which containers get no credentials of the pod's ServiceAccount: a list of names.
SKIP_CONTAINERS: Final = "eks.amazonaws.com/skip-containers"

_DNS_NAME: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY: Final = re.compile(rf"({_DNS_NAME}/)?{_NAME}", re.ASCII)
_LABEL_VALUE: Final = re.compile(rf"({_NAME})?", re.ASCII)
_KEY_LENGTH: Final = 317
_OF_KUBERNETES: Final = ("kubernetes.io", "k8s.io", "x-k8s.io")
# Job controller and ReplicaSet controller select their pods by these.
_CONTROLLERS: Final = ("job-name", "controller-uid", "pod-template-hash")
# Webhooks and agents of nodes give every container of a pod with such a key an identity of its cloud, or secrets.
_OF_IDENTITIES: Final = ("azure.workload.identity", "iam.amazonaws.com", "vault.hashicorp.com")
_IDENTITY_OF_POD: Final = "aadpodidbinding"  # Azure's, without a domain


def is_ours(key: str) -> bool:
    """Whether the operator or the controller of the pod writes the key, so that another value would break a run."""
    domain = _domain(key)
    return (
        _is_within(domain, GROUP)
        or domain == "batch.kubernetes.io"
        or key in (LABEL_COMPONENT, LABEL_MANAGED_BY, SKIP_CONTAINERS, *_CONTROLLERS)
    )


def is_reserved(key: str) -> bool:
    """Whether a user must not write the key: it is ours, or means something to Kubernetes."""
    if is_ours(key):
        return True
    domain = _domain(key)
    of_kubernetes = any(_is_within(domain, parent) for parent in _OF_KUBERNETES)
    return of_kubernetes and domain != "app.kubernetes.io" and key != SAFE_TO_EVICT


def gives_identity(key: str) -> bool:
    """Whether the key may give the trainer what only the agent of a run may have: a token or secrets of an account."""
    return key == _IDENTITY_OF_POD or any(_is_within(_domain(key), domain) for domain in _OF_IDENTITIES)


def problem_with(metadata: Mapping[str, str], *, values_are_labels: bool) -> str:
    """Say what is wrong with labels or annotations of the installer; empty if nothing is."""
    for key, value in metadata.items():
        if len(key) > _KEY_LENGTH or not _KEY.fullmatch(key):
            return f"{key!r} is not a key such as cost-center or example.com/team"
        if is_ours(key):
            return f"{key!r} is written by the operator or by Kubernetes"
        if values_are_labels and (len(value) > 63 or not _LABEL_VALUE.fullmatch(value)):
            return f"the value of {key!r} is not a label: letters, digits, '-', '_' and '.', at most 63"
    return ""


def _domain(key: str) -> str:
    return key.rpartition("/")[0]


def _is_within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
