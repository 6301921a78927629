"""Objects of the model: those of trfakes, with finalizers, and with deletions that take their time, as in a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from trfakes.store import Change, Key, Object, StatusError, Store, conflict, copied

COLLECT_SECONDS: Final = (0.05, 3.0)  # until the garbage collector sees that an owner is gone
NAMESPACE_SECONDS: Final = (0.5, 5.0)  # between two steps of the namespace controller
GRACE_SECONDS: Final = 30
ENDED: Final = {"Succeeded", "Failed"}


class ChaosStore(Store):
    """The objects of a cluster; `clock` is the API server's."""

    def __init__(self, *, now: Callable[[], datetime], chance: random.Random) -> None:
        self._uids = 0
        super().__init__(now=now, new_uid=self._next_uid)
        self._chance = chance
        self._alive: set[str] = set()  # UIDs
        self.gone_namespaces: set[str] = set()
        self.ending_namespaces: set[str] = set()  # that are Terminating: nothing can be created in them
        self.admission: list[Callable[[str, Object], None]] = []  # change objects as they are created

    def _next_uid(self) -> str:
        self._uids += 1
        return f"{self._uids:08x}-0000-4000-8000-000000000000"

    def current(self, plural: str, seen: Object) -> Object | None:
        """The newest version of an object that was seen; None if it is gone."""
        meta = seen["metadata"]
        found = self.find(plural, meta["name"], namespace=meta["namespace"])
        return found if found is not None and found["metadata"]["uid"] == meta["uid"] else None

    def create(self, plural: str, body: Mapping[str, Any], *, namespace: str = "default") -> Object:
        made = copied(body)
        meta = made["metadata"]
        if namespace in self.gone_namespaces:
            text = f'namespaces "{namespace}" not found'
            raise StatusError(404, text, reason="NotFound", kind="namespaces", name=namespace)
        if namespace in self.ending_namespaces:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            text = f'{plural} "{meta["name"]}" is forbidden: {why}'
            causes = [{"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}]
            raise StatusError(403, text, reason="Forbidden", causes=causes, name=meta["name"], kind=plural)
        key = (plural, namespace, meta["name"])
        if key in self.objects:
            text = f'{plural} "{meta["name"]}" already exists'
            raise StatusError(409, text, reason="AlreadyExists", name=meta["name"], kind=plural)
        meta["uid"] = self._new_uid()
        meta.update(namespace=namespace, generation=1, creationTimestamp=self.now_text())
        for admit in self.admission:
            admit(plural, made)
        self._alive.add(meta["uid"])
        kept = self._keep(key, made, "ADDED")
        owners = [ref["uid"] for ref in meta.get("ownerReferences") or () if ref.get("controller")]
        if owners and not self._alive.intersection(owners):
            self._later(self._collect_one, plural, namespace, meta["name"], meta["uid"])
        return kept

    def delete(self, plural: str, name: str, *, namespace: str = "default", uid: str | None = None) -> None:
        """Delete an object at once; a pod that runs on a node only begins to terminate, and its kubelet removes it."""
        body = self.get(plural, name, namespace=namespace)
        if uid is not None and body["metadata"]["uid"] != uid:
            raise conflict(plural, name, f"Precondition failed: UID in precondition: {uid}")
        ended = (body.get("status") or {}).get("phase") in ENDED
        if plural == "pods" and body["spec"].get("nodeName") and not ended:
            if "deletionTimestamp" not in body["metadata"]:
                grace = body["spec"].get("terminationGracePeriodSeconds")
                self._begin_deletion(plural, body, grace=GRACE_SECONDS if grace is None else int(grace))
            return
        self.remove(plural, name, namespace=namespace)

    def remove(self, plural: str, name: str, *, namespace: str = "default") -> None:
        """Delete an object without a grace period, whatever still runs; it is gone once it has no finalizers."""
        body = self.find(plural, name, namespace=namespace)
        if body is None:
            return
        if body["metadata"].get("finalizers"):
            if body["metadata"].get("deletionGracePeriodSeconds") != 0:
                self._begin_deletion(plural, body, grace=0)
            return
        self._drop((plural, namespace, name), body)

    def drop_finalizer(self, plural: str, body: Object, finalizer: str) -> None:
        """Remove a finalizer of an object, and the object if that was what kept it."""
        meta = {**body["metadata"], "finalizers": [f for f in body["metadata"]["finalizers"] if f != finalizer]}
        if not meta["finalizers"]:
            del meta["finalizers"]
        key = (plural, meta["namespace"], meta["name"])
        if "finalizers" not in meta and meta.get("deletionGracePeriodSeconds") == 0:
            self._drop(key, {**body, "metadata": meta})
        else:
            self._keep(key, {**body, "metadata": meta}, "MODIFIED")

    def replace_status(self, plural: str, body: Object, status: Mapping[str, Any]) -> Object:
        """Replace the status of an object that exists."""
        meta = body["metadata"]
        current = self.get(plural, meta["name"], namespace=meta["namespace"])
        return self._keep((plural, meta["namespace"], meta["name"]), {**current, "status": copied(status)}, "MODIFIED")

    def accepts(self, namespace: str) -> bool:
        """Whether something can be created in a namespace."""
        return namespace not in self.ending_namespaces | self.gone_namespaces

    def end_namespace(self, namespace: str) -> None:
        """Delete a namespace: first nothing can be created in it, then all in it is deleted, then it is gone."""
        if not self.accepts(namespace):
            return
        self.ending_namespaces.add(namespace)
        self._soon(NAMESPACE_SECONDS, self._empty, namespace)

    def restore_namespace(self, namespace: str) -> None:
        """Create a namespace that is gone once more; one that is still ending then is created when it is gone."""
        if namespace in self.ending_namespaces:
            self._soon(NAMESPACE_SECONDS, self.restore_namespace, namespace)
        self.gone_namespaces.discard(namespace)

    def _empty(self, namespace: str) -> None:
        """Delete what is left, pods first, until nothing is."""
        found = sorted(key for key in self.objects if key[1] == namespace)
        pods = [key for key in found if key[0] == "pods"]
        for plural, _, name in pods or found:
            if self.find(plural, name, namespace=namespace) is not None:
                self.delete(plural, name, namespace=namespace)
        if found:
            self._soon(NAMESPACE_SECONDS, self._empty, namespace)
        else:
            self.ending_namespaces.discard(namespace)
            self.gone_namespaces.add(namespace)

    def _begin_deletion(self, plural: str, body: Object, *, grace: int) -> None:
        ends = (self._now() + timedelta(seconds=grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = {**body["metadata"], "deletionTimestamp": ends, "deletionGracePeriodSeconds": grace}
        self._keep((plural, meta["namespace"], meta["name"]), {**body, "metadata": meta}, "MODIFIED")

    def _drop(self, key: Key, body: Object) -> None:
        del self.objects[key]
        self._alive.discard(body["metadata"]["uid"])
        self._note(key[0], "DELETED", self._versioned(body))
        self._later(self._collect, body["metadata"]["uid"])

    def _collect(self, owner: str) -> None:
        for (plural, namespace, name), body in list(self.objects.items()):
            if any(ref["uid"] == owner for ref in body["metadata"].get("ownerReferences") or ()):
                self._collect_one(plural, namespace, name, body["metadata"]["uid"])

    def warn(self, about: Object, reason: str, message: str) -> None:
        """Post a Warning, as the controllers and the kubelets do."""
        meta = about["metadata"]
        body = {
            "metadata": {"name": f"{meta['name']}.{self.version:x}"},
            "involvedObject": {"uid": meta["uid"], "name": meta["name"], "namespace": meta["namespace"]},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": self.now_text(),
        }
        with contextlib.suppress(StatusError):  # of a namespace that is being deleted
            self.create("events", body, namespace=meta["namespace"])

    def _collect_one(self, plural: str, namespace: str, name: str, uid: str) -> None:
        found = self.find(plural, name, namespace=namespace)
        if found is not None and found["metadata"]["uid"] == uid:
            self.delete(plural, name, namespace=namespace)

    def _later(self, act: Callable[..., None], *arguments: str) -> None:
        self._soon(COLLECT_SECONDS, act, *arguments)

    def _soon(self, between: tuple[float, float], act: Callable[..., None], *arguments: str) -> None:
        asyncio.get_running_loop().call_later(self._chance.uniform(*between), act, *arguments)


__all__ = ["Change", "ChaosStore", "Object", "StatusError", "datetime"]
