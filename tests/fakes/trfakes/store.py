"""Store the objects of a fake API server: resource versions, watch history, merge patches, garbage collection.

Invariants: each change increases the single version counter and is added to the history that watches read; an object
that is stored is never changed in place, so the history, listings and answers share it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]  # plural, namespace, name
_SCALARS, _LISTS = (str, int, float, type(None)), (list, tuple)


class StatusError(Exception):
    """An error answer of the API server."""

    def __init__(self, code: int, message: str, *, reason: str = "", **details: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.details = code, message, reason, details


@dataclass(frozen=True)
class Change:
    """One change in the watch history."""

    version: int
    plural: str
    kind: str  # ADDED, MODIFIED, DELETED
    body: Object


class Store:
    """All objects of all kinds, in memory."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.objects: dict[Key, Object] = {}
        self.history: list[Change] = []
        self.version = 100
        self.compacted = 0
        self.listeners: list[Callable[[Change], None]] = []
        self.graceful_pods = False
        self._now, self._new_uid = now, new_uid

    def now_text(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def find(self, plural: str, name: str, *, namespace: str = "default") -> Object | None:
        return self.objects.get((plural, namespace, name))

    def get(self, plural: str, name: str, *, namespace: str = "default") -> Object:
        found = self.find(plural, name, namespace=namespace)
        if found is None:
            raise StatusError(404, f'{plural} "{name}" not found', reason="NotFound", kind=plural, name=name)
        return found

    def select(self, plural: str, *, namespace: str | None = None, labels: str = "") -> Iterator[Object]:
        keys = sorted(key for key in self.objects if key[0] == plural and namespace in {None, key[1]})
        for body in [self.objects[key] for key in keys]:
            if matches(body, labels):
                yield body

    def create(self, plural: str, body: Mapping[str, Any], *, namespace: str = "default") -> Object:
        made = copied(body)
        meta = made.setdefault("metadata", {})
        key = (plural, namespace, meta["name"])
        if key in self.objects:
            text = f'{plural} "{meta["name"]}" already exists'
            raise StatusError(409, text, reason="AlreadyExists", kind=plural, name=meta["name"])
        meta.setdefault("uid", self._new_uid())
        meta.update(namespace=namespace, generation=1)
        meta.setdefault("creationTimestamp", self.now_text())
        kept = self._keep(key, made, "ADDED")
        alive = {other["metadata"]["uid"] for other in self.objects.values()}
        if any(ref["uid"] not in alive for ref in meta.get("ownerReferences") or () if ref.get("controller")):
            self.delete(plural, meta["name"], namespace=namespace)  # its owner is gone already: garbage collection
        return kept

    def put(self, plural: str, body: Mapping[str, Any]) -> None:
        """Store an object as it is, with its UID and status, as if it had been here before."""
        meta = body["metadata"]
        self._keep((plural, meta["namespace"], meta["name"]), copied(body), "ADDED")

    def patch(
        self, plural: str, name: str, patch: Mapping[str, Any], *, namespace: str = "default", status: bool = False
    ) -> Object:
        old = self.get(plural, name, namespace=namespace)
        wanted = (patch.get("metadata") or {}).get("resourceVersion")
        if wanted is not None and wanted != old["metadata"]["resourceVersion"]:
            raise conflict(plural, name, "the object has been modified")
        allowed = {key: value for key, value in patch.items() if key != "metadata" and (key == "status") == status}
        new = merge(old, allowed)
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": new["metadata"]["generation"] + 1}
        return self._keep((plural, namespace, name), new, "MODIFIED")

    def update_status(self, plural: str, name: str, *, namespace: str = "default", **fields: Any) -> Object:
        """Replace whole fields of the status, as a controller or a kubelet does."""
        old = self.get(plural, name, namespace=namespace)
        new = {**old, "status": {**(old.get("status") or {}), **copied(fields)}}
        return self._keep((plural, namespace, name), new, "MODIFIED")

    def delete(self, plural: str, name: str, *, namespace: str = "default", uid: str | None = None) -> None:
        body = self.get(plural, name, namespace=namespace)
        if uid is not None and body["metadata"]["uid"] != uid:
            raise conflict(plural, name, f"Precondition failed: UID in precondition: {uid}")
        if plural == "pods" and self.graceful_pods and "deletionTimestamp" not in body["metadata"]:
            new = {**body, "metadata": {**body["metadata"], "deletionTimestamp": self.now_text()}}
            self._keep((plural, namespace, name), new, "MODIFIED")
            return
        del self.objects[plural, namespace, name]
        self._note(plural, "DELETED", self._versioned(body))
        self._collect(body["metadata"]["uid"])

    def compact(self) -> None:
        """Drop the history: a watch from an older version then gets 410."""
        self.compacted = self.version
        self.history.clear()

    def _collect(self, owner: str) -> None:
        owned = [
            key
            for key, body in self.objects.items()
            if any(ref["uid"] == owner for ref in body["metadata"].get("ownerReferences") or ())
        ]
        for plural, namespace, name in owned:
            if self.find(plural, name, namespace=namespace) is not None:
                self.delete(plural, name, namespace=namespace)

    def _keep(self, key: Key, body: Object, kind: str) -> Object:
        kept = self.objects[key] = self._versioned(body)
        self._note(key[0], kind, kept)
        return kept

    def _versioned(self, body: Object) -> Object:
        """The next version of an object."""
        self.version += 1
        return {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}

    def _note(self, plural: str, kind: str, body: Object) -> None:
        change = Change(self.version, plural, kind, body)
        self.history.append(change)
        for listener in list(self.listeners):
            listener(change)


def conflict(plural: str, name: str, why: str) -> StatusError:
    """The answer to a write or a deletion whose precondition does not hold."""
    text = f'Operation cannot be fulfilled on {plural} "{name}": {why}'
    return StatusError(409, text, reason="Conflict", kind=plural, name=name)


def copied(value: Any) -> Any:
    """A copy of a JSON document."""
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, _LISTS) else value


def merge(old: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386); what it leaves alone is shared with the old value."""
    if isinstance(patch, _SCALARS) or not isinstance(patch, Mapping):
        return copied(patch)
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge(new.get(key), value)
    return new


def matches(body: Object, selector: str) -> bool:
    """Whether an object matches a label selector of equality and existence terms."""
    labels = body["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
