"""Answers of a fake API server to one call: discovery, list, get, create, merge patch, delete, logs.

They are what the operator's safety depends on: resource versions and UIDs as preconditions, 409 for a name that
exists, status as a subresource. How a call reaches them is not their concern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trfakes.store import Change, StatusError, Store, conflict, matches

KINDS = {
    "/api/v1": {
        "namespaces": "Namespace",
        "pods": "Pod",
        "configmaps": "ConfigMap",
        "services": "Service",
        "events": "Event",
        "secrets": "Secret",
    },
    "/apis/apps/v1": {"deployments": "Deployment"},
    "/apis/batch/v1": {"jobs": "Job"},
    "/apis/coordination.k8s.io/v1": {"leases": "Lease"},
    "/apis/apiextensions.k8s.io/v1": {"customresourcedefinitions": "CustomResourceDefinition"},
    "/apis/trainingrun.dev/v1alpha1": {"trainingruns": "TrainingRun"},
}
CLUSTER_SCOPED = {"namespaces", "customresourcedefinitions"}
PATH = re.compile(
    r"^(?P<base>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)"
    r"(/(?P<name>[^/]+)(/(?P<sub>status|log))?)?$"
)


class Answers:
    """Answers from one store; `logs` are those of pods, by name."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.logs: dict[str, str] = {}

    def to(self, method: str, path: str, *, query: Mapping[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """Status and document of the answer; a text for logs."""
        try:
            return self._answer(method, path, query=query, body=body)
        except StatusError as error:
            return error.code, {
                "kind": "Status",
                "code": error.code,
                "message": error.message,
                "details": error.details,
                **({"reason": error.reason} if error.reason else {}),
            }

    def _answer(self, method: str, path: str, *, query: Mapping[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        found = PATH.match(path)
        if found is None or found["plural"] not in KINDS.get(found["base"], {}):
            return 200, _discovery(path)
        plural, name = found["plural"], found["name"]
        namespace = found["namespace"] or ""
        if found["sub"] == "log":
            self.store.get("pods", name, namespace=namespace)
            return 200, self.logs.get(name, "")
        match method, name is not None:
            case "GET", False:
                return 200, self._list(query, plural, found["namespace"])
            case "GET", True:
                return 200, self.store.get(plural, name, namespace=namespace)
            case "POST", False:
                return 201, self.store.create(plural, body, namespace=namespace)
            case "PATCH", True:
                status = found["sub"] == "status"
                return 200, self.store.patch(plural, name, body, namespace=namespace, status=status)
            case "DELETE", True:
                return 200, self._delete(plural, name, namespace=namespace, options=body)
        raise StatusError(405, f"{method} {path} is not allowed")

    def _delete(self, plural: str, name: str, *, namespace: str, options: dict[str, Any]) -> dict[str, Any]:
        if plural == "jobs" and options.get("propagationPolicy") != "Background":
            raise StatusError(422, "set propagationPolicy to Background: the default leaves the pods of a deleted Job")
        preconditions = options.get("preconditions") or {}
        version = preconditions.get("resourceVersion")
        if version not in {None, self.store.get(plural, name, namespace=namespace)["metadata"]["resourceVersion"]}:
            raise conflict(plural, name, f"Precondition failed: ResourceVersion in precondition: {version}")
        self.store.delete(plural, name, namespace=namespace, uid=preconditions.get("uid"))
        return {"kind": "Status", "status": "Success"}

    def _list(self, query: Mapping[str, str], plural: str, namespace: str | None) -> dict[str, Any]:
        items = list(self.store.select(plural, namespace=namespace, labels=query.get("labelSelector", "")))
        fields = dict(term.split("=", 1) for term in query.get("fieldSelector", "").split(",") if term)
        if "involvedObject.uid" in fields:
            items = [e for e in items if e["involvedObject"]["uid"] == fields["involvedObject.uid"]]
        if "metadata.name" in fields:
            items = [item for item in items if item["metadata"]["name"] == fields["metadata.name"]]
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(items)
        meta = {"resourceVersion": str(self.store.version)}
        if start + limit < len(items):
            meta["continue"] = str(start + limit)
        return {"kind": "List", "metadata": meta, "items": items[start : start + limit]}


def watch_event(change: Change, *, plural: str, namespace: str | None, selector: str) -> dict[str, Any] | None:
    """The event that a watch shows of a change; a bookmark for other kinds, None for what is not selected."""
    if change.plural != plural or namespace not in {None, change.body["metadata"]["namespace"]}:
        return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(change.version)}}}
    return {"type": change.kind, "object": change.body} if matches(change.body, selector) else None


def _discovery(path: str) -> dict[str, Any]:
    if path == "/version":
        return {"major": "1", "minor": "35"}
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        groups = [base.split("/")[2:] for base in KINDS if base.startswith("/apis/")]
        named = [(g, {"groupVersion": f"{g}/{v}", "version": v}) for g, v in groups]
        return {"groups": [{"name": g, "versions": [v], "preferredVersion": v} for g, v in named]}
    if path not in KINDS:
        raise StatusError(404, f"the server could not find {path}")
    return {"kind": "APIResourceList", "resources": [_resource(p, k) for p, k in KINDS[path].items()]}


def _resource(plural: str, kind: str) -> dict[str, Any]:
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    singular = plural.removesuffix("s")
    return {
        "name": plural,
        "kind": kind,
        "singularName": singular,
        "namespaced": plural not in CLUSTER_SCOPED,
        "verbs": verbs,
    }
