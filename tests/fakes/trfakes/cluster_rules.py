"""Rules of a platform team for a namespace: a demanded label, a quota on CPU limits, defaults for containers."""

from __future__ import annotations

from typing import Any, Final

Body = dict[str, Any]

COST_CENTER: Final = "cost-center"


def cost_center_rule(namespace: str, *, kinds: tuple[str, ...] = ("pods", "jobs")) -> list[Body]:
    """A ValidatingAdmissionPolicy for these kinds in a namespace, and its binding."""
    name = f"{COST_CENTER}-{namespace}"
    constraints = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "resourceRules": [
            {"apiGroups": ["", "batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": list(kinds)}
        ],
    }
    rule = {
        "expression": f"has(object.metadata.labels) && '{COST_CENTER}' in object.metadata.labels",
        "message": f"pods and Jobs need the label {COST_CENTER}",
    }
    kind = "ValidatingAdmissionPolicy"
    spec = {"failurePolicy": "Fail", "matchConstraints": constraints, "validations": [rule]}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    return [{**api, "kind": kind, "spec": spec}, {**api, "kind": f"{kind}Binding", "spec": binding}]


def cpu_quota(namespace: str) -> Body:
    """A ResourceQuota that counts CPU limits, so that every container must have one."""
    meta = {"name": "cpu", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"limits.cpu": "40"}}}


def limit_range(namespace: str) -> Body:
    """A LimitRange that gives every container a CPU limit."""
    limits = [{"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "4"}}]
    meta = {"name": "cpu", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": limits}}
