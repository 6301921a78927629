"""Objects of the model: those of trfakes, with garbage collection and deletion that take their time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from trfakes.store import Change, Object, StatusError, Store, copied

COLLECT_SECONDS: Final = (0.05, 3.0)  # until the garbage collector sees that an owner is gone
GRACE_SECONDS: Final = 30


class ChaosStore(Store):
    """The objects of a cluster; `clock` is the API server's."""

    def __init__(self, *, now: Any, chance: random.Random) -> None:
        self._uids = 0
        super().__init__(now=now, new_uid=self._next_uid)
        self._chance = chance
        self.gone_namespaces: set[str] = set()
        self.admission: list[Callable[[str, Object], None]] = []  # change objects as they are created

    def _next_uid(self) -> str:
        self._uids += 1
        return f"{self._uids:08x}-0000-4000-8000-000000000000"

    def create(self, plural: str, body: Any, *, namespace: str = "default") -> Object:
        if namespace in self.gone_namespaces:
            raise StatusError(404, f'namespaces "{namespace}" not found', kind="namespaces", name=namespace)
        made = copied(body)
        meta = made["metadata"]
        key = (plural, namespace, meta["name"])
        if key in self.objects:
            raise StatusError(409, f'{plural} "{meta["name"]}" already exists', reason="AlreadyExists")
        meta["uid"] = self._new_uid()
        meta.update(namespace=namespace, generation=1, creationTimestamp=self.now_text())
        for admit in self.admission:
            admit(plural, made)
        kept = self._keep(key, made, "ADDED")
        owners = [ref["uid"] for ref in meta.get("ownerReferences") or () if ref.get("controller")]
        if owners and not any(self._is_alive(uid) for uid in owners):
            self._later(self._collect_one, plural, namespace, meta["name"], meta["uid"])
        return kept

    def delete(self, plural: str, name: str, *, namespace: str = "default", uid: str | None = None) -> None:
        """Delete an object at once; a pod that was scheduled only begins to terminate, and its kubelet removes it."""
        body = self.get(plural, name, namespace=namespace)
        if uid is not None and body["metadata"]["uid"] != uid:
            raise StatusError(409, f'{plural} "{name}" has another uid', reason="Conflict")
        if plural == "pods" and body["spec"].get("nodeName"):
            if "deletionTimestamp" not in body["metadata"]:
                grace = int(body["spec"].get("terminationGracePeriodSeconds") or GRACE_SECONDS)
                ends = (self._now() + timedelta(seconds=grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
                meta = {**body["metadata"], "deletionTimestamp": ends, "deletionGracePeriodSeconds": grace}
                self._keep((plural, namespace, name), {**body, "metadata": meta}, "MODIFIED")
            return
        self.remove(plural, name, namespace=namespace)

    def remove(self, plural: str, name: str, *, namespace: str = "default") -> None:
        """Remove an object from the API, whatever still runs."""
        body = self.objects.pop((plural, namespace, name), None)
        if body is not None:
            self._note(plural, "DELETED", self._versioned(body))
            self._later(self._collect, body["metadata"]["uid"])

    def _collect(self, owner: str) -> None:
        for (plural, namespace, name), body in list(self.objects.items()):
            if any(ref["uid"] == owner for ref in body["metadata"].get("ownerReferences") or ()):
                self._collect_one(plural, namespace, name, body["metadata"]["uid"])

    def _collect_one(self, plural: str, namespace: str, name: str, uid: str) -> None:
        found = self.find(plural, name, namespace=namespace)
        if found is not None and found["metadata"]["uid"] == uid:
            self.delete(plural, name, namespace=namespace)

    def _is_alive(self, uid: str) -> bool:
        return any(body["metadata"]["uid"] == uid for body in self.objects.values())

    def _later(self, act: Any, *arguments: str) -> None:
        asyncio.get_running_loop().call_later(self._chance.uniform(*COLLECT_SECONDS), act, *arguments)


__all__ = ["Change", "ChaosStore", "Object", "StatusError", "datetime"]
