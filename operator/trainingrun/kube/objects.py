"""The operations that a run needs; invariant: an object that the run does not own is never changed or deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from trainingrun.api.names import API_VERSION, LABEL_RUN_UID, LABEL_STAGE, PLURAL, RESOLVED_KEY, resolved_name
from trainingrun.api.run import Run
from trainingrun.domain.likeness import unlike
from trainingrun.kube.client import MERGE_PATCH, Api
from trainingrun.kube.errors import ConflictError, KubeError, NotFoundError

PAGE: Final = 500
_KINDS: Final = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Pod": ("/api/v1", "pods"),
    "Node": ("/api/v1", "nodes"),
    "Event": ("/api/v1", "events"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "TrainingRun": (f"/apis/{API_VERSION}", PLURAL),
}


class ForeignObjectError(KubeError):
    """A child's name is taken by an object that the run does not own, perhaps of a deleted run of the same name."""


class GoneError(KubeError):
    """The server says that the run itself does not exist; only of this does nothing come back."""


class OtherDocumentError(KubeError):
    """The run's ConfigMap exists, with another text than the one to be written."""


async def create(api: Api, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a child; an existing one is success only if it is what would have been created."""
    kind, meta = body["kind"], body["metadata"]
    try:
        return await api.call("POST", path(kind, meta["namespace"]), body=body)
    except ConflictError:
        existing = await api.call("GET", path(kind, meta["namespace"], meta["name"]))
    if kind == "ConfigMap":
        if (existing.get("data") or {}).get(RESOLVED_KEY) != body["data"][RESOLVED_KEY]:
            raise OtherDocumentError(f"ConfigMap {meta['namespace']}/{meta['name']} exists with another content.")
        return existing
    theirs = _controller(existing["metadata"]) != _controller(meta) or "deletionTimestamp" in existing["metadata"]
    difference = "metadata.ownerReferences" if theirs else unlike(existing, body)
    if difference:
        raise ForeignObjectError(
            f"{kind} {meta['namespace']}/{meta['name']} exists and does not belong to this run ({difference} differs); "
            f"delete or rename it."
        )
    return existing


async def delete(api: Api, kind: str, *, namespace: str, name: str, uid: str) -> None:
    """Delete the object with this UID and what it owns; success if it is gone or its name belongs to another."""
    await _delete(api, path(kind, namespace, name), uid=uid)


async def delete_unchanged(api: Api, run: Run) -> None:
    """Delete an expired run, unless it has changed since it was read: its user may just have asked for a retry."""
    where = path("TrainingRun", run.namespace, run.name)
    await _delete(api, where, uid=run.uid, resourceVersion=run.resource_version)


async def _delete(api: Api, where: str, **preconditions: str) -> None:
    # Background: otherwise the deletion of a Job orphans its pods.
    body = {"propagationPolicy": "Background", "preconditions": preconditions}
    try:
        await api.call("DELETE", where, body=body)
    except ConflictError:
        return
    except NotFoundError as error:
        if not _says_gone(error, where):
            raise


async def delete_owned(api: Api, kind: str, *, namespace: str, name: str, owner_uid: str) -> None:
    """Delete a child by name if the run owns it."""
    found = await _find(api, path(kind, namespace, name))
    if found is not None and _controller(found["metadata"]) == owner_uid:
        await delete(api, kind, namespace=namespace, name=name, uid=found["metadata"]["uid"])


async def is_gone(api: Api, kind: str, *, namespace: str, name: str, owner_uid: str) -> bool:
    """Return whether the run has no child of this name, though another object may have it."""
    found = await _find(api, path(kind, namespace, name))
    return found is None or _controller(found["metadata"]) != owner_uid


async def exists(api: Api, kind: str, *, namespace: str, name: str, uid: str) -> bool:
    """Return whether the server has the object with this UID. By a list: pods cannot be read singly."""
    found = list_all(api, kind, namespace=namespace, fields=f"metadata.name={name}")
    return uid in [body["metadata"]["uid"] async for body in found]


async def patch_status(
    api: Api, *, namespace: str, name: str, resource_version: str, status: Mapping[str, Any]
) -> dict[str, Any]:
    """Replace the given fields of a run's status (None removes one).

    Raises ConflictError when the run changed meanwhile, GoneError when it does not exist.
    """
    body = {"metadata": {"resourceVersion": resource_version}, "status": dict(status)}
    where = path("TrainingRun", namespace, name) + "/status"
    try:
        return await api.call("PATCH", where, body=body, content_type=MERGE_PATCH)
    except NotFoundError as error:
        if _says_gone(error, path("TrainingRun", namespace, name)):
            raise GoneError(str(error), status=error.status, words=error.words) from None
        raise


async def read_resolved(api: Api, *, namespace: str, name: str, uid: str) -> str | None:
    """Text of the run's resolved document, whoever wrote it; None when there is no such ConfigMap."""
    found = await _find(api, path("ConfigMap", namespace, resolved_name(name, uid=uid)))
    return None if found is None else str((found.get("data") or {}).get(RESOLVED_KEY, ""))


async def read_job_spec(api: Api, *, namespace: str, name: str, uid: str) -> dict[str, Any] | None:
    """Spec of the Job with this UID; None when it does not exist any more."""
    found = await _find(api, path("Job", namespace, name))
    return dict(found.get("spec") or {}) if found is not None and found["metadata"]["uid"] == uid else None


async def list_all(
    api: Api,
    kind: str,
    *,
    namespace: str | None,
    ours: bool = False,
    run_uid: str = "",
    fields: str = "",
    cached: bool = False,
) -> AsyncIterator[dict[str, Any]]:
    """List a kind page by page; `ours` selects objects with our stage label, `run_uid` those of one run, `fields` is a
    field selector.

    `cached`: from the memory of the API server, perhaps seconds old, which is cheap where a selector leaves few.
    """
    query = {"limit": str(PAGE)} | ({"labelSelector": LABEL_STAGE} if ours else {})
    if run_uid:
        query["labelSelector"] = f"{LABEL_STAGE},{LABEL_RUN_UID}={run_uid}"
    if cached:
        query["resourceVersion"] = "0"
    if fields:
        query["fieldSelector"] = fields
    while True:
        page = await api.call("GET", path(kind, namespace), query=query)
        for item in page.get("items") or ():
            yield item
        token = (page.get("metadata") or {}).get("continue")
        if not token:
            return
        query = {**query, "continue": token}
        query.pop("resourceVersion", None)  # a token has one of its own


async def newest_warning(api: Api, *, namespace: str, uid: str) -> str:
    """Newest warning Event about an object as `Reason: message`, or an empty text."""
    query = {"fieldSelector": f"involvedObject.uid={uid},type=Warning", "limit": "50"}
    page = await api.call("GET", path("Event", namespace), query=query)
    events = page.get("items") or []
    if not events:
        return ""
    newest = max(events, key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")
    return f"{newest.get('reason', '')}: {newest.get('message', '')}"[:1000]


async def read_log_tail(api: Api, *, namespace: str, pod: str, container: str) -> str:
    """Last lines of a container's log, at most 16 KiB."""
    query = {"container": container, "tailLines": "40", "limitBytes": "16384"}
    return await api.text("GET", path("Pod", namespace, pod) + "/log", query=query)


def path(kind: str, namespace: str | None, name: str = "") -> str:
    """URL path of a kind, an object, or (namespace None) a kind in the whole cluster."""
    base, plural = _KINDS[kind]
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{scope}/{plural}" + (f"/{name}" if name else "")


async def _find(api: Api, where: str) -> dict[str, Any] | None:
    """Object at this path; None if the server says that it does not have it."""
    try:
        return await api.call("GET", where)
    except NotFoundError as error:
        if not _says_gone(error, where):
            raise
        return None


def _says_gone(error: NotFoundError, where: str) -> bool:
    """Return whether the server names the object as missing: a 404 can also be about the path, or a proxy's own."""
    plural, name = where.rsplit("/", 2)[1:]
    return (error.kind, error.name) == (plural, name)


def _controller(meta: Mapping[str, Any]) -> str:
    return next((o["uid"] for o in meta.get("ownerReferences") or () if o.get("controller")), "")
