"""Add containers that never end to the pods of chosen runs, as a service mesh or a log collector does.

The API server adds them itself (MutatingAdmissionPolicy): an ordinary container beside ours, and a sidecar, which is an
init container that goes on. Both ignore SIGTERM.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trcluster.waiting import until
from trdemo.installation import Object
from trdemo.shell import Kubectl

NAMES = ("collector", "mesh")
_API = "admissionregistration.k8s.io/v1beta1"
_NAME = "added-containers"
_FOREVER = "import signal, threading; signal.signal(15, signal.SIG_IGN); threading.Event().wait()"
_FIELDS = ("containers", "initContainers")
_RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


@contextmanager
def added_containers(kubectl: Kubectl, *, image: str, runs: Sequence[str]) -> Iterator[None]:
    """Add the containers to the pods of these runs, in the block."""
    kubectl.apply(_policy(image, runs=runs), _object("MutatingAdmissionPolicyBinding", {"policyName": _NAME}))
    try:
        until(lambda: _acts(kubectl, image, run=runs[0]), what="the policy to act", seconds=60)
        yield
    finally:
        for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
            kubectl("delete", kind, _NAME)


def _acts(kubectl: Kubectl, image: str, *, run: str) -> bool:
    """Whether the API server, which reads a new policy some time later, already adds the containers."""
    meta = {"name": "probe", "namespace": "default", "labels": {"trainingrun.dev/run": run}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "a", "image": image}]}}
    made = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(pod)))
    return len(made["spec"]["containers"]) > 1


def _policy(image: str, *, runs: Sequence[str]) -> Object:
    ordinary, sidecar = (_container(field, name, image) for field, name in zip(_FIELDS, NAMES, strict=True))
    patches = [
        f'JSONPatch{{op: "add", path: "/spec/containers/-", value: {ordinary}}}',
        f'JSONPatch{{op: "add", path: "/spec/initContainers", value: [{sidecar}]}}',
    ]
    label = "object.metadata.?labels[?'trainingrun.dev/run'].orValue('')"
    spec = {
        "matchConstraints": {"resourceRules": [_RULE]},
        "matchConditions": [{"name": "runs", "expression": f"{label} in {list(runs)}"}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{', '.join(patches)}]"}}],
    }
    return _object("MutatingAdmissionPolicy", spec)


def _container(field: str, name: str, image: str) -> str:
    """Write a container as an expression."""
    kind = f"Object.spec.{field}"
    capabilities = f'{kind}.securityContext.capabilities{{drop: ["ALL"]}}'
    security = f"{kind}.securityContext{{allowPrivilegeEscalation: false, capabilities: {capabilities}}}"
    goes_on = ', restartPolicy: "Always"' if field == "initContainers" else ""
    command = json.dumps(["python3", "-c", _FOREVER])
    return (
        f'{kind}{{name: "{name}", image: "{image}", imagePullPolicy: "IfNotPresent", command: {command}, '
        f"securityContext: {security}{goes_on}}}"
    )


def _object(kind: str, spec: Object) -> Object:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": _NAME}, "spec": spec}
