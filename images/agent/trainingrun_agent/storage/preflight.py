"""The preflight: checks in the first second that storage can do what the run needs, so that no later stage fails.

Invariant: the object that it writes below `<run>/preflight/` is deleted again, unless the bucket must keep it; each
refusal has its own reason. What it learns about the server is noted for the pod's other stores of the bucket.
"""

from __future__ import annotations

from collections.abc import Iterable

from trainingrun_agent.errors import ObjectLocked, StorageRefused
from trainingrun_agent.keys import RunKeys, folder_of
from trainingrun_agent.reasons.storage import (
    CONDITIONAL_WRITES_IGNORED,
    DELETIONS_REFUSED,
    EMPTY_PREFIX,
    WRITES_NOT_VISIBLE,
)
from trainingrun_agent.storage.base import ObjectStore, StoreFor
from trainingrun_agent.terms import Change, Field, Place
from trainingrun_agent.training_settings import Uri

_RANGE_START = 4


def probe(store: ObjectStore, run: RunKeys, pod_uid: str) -> tuple[str, ...]:
    """List, put, put twice with a condition, get a range, delete.

    Returns warnings; raises StorageRefused when the storage cannot be used.
    """
    key = run.preflight(pod_uid)
    for _ in store.list(f"{folder_of(key)}/", limit=1):
        break
    _delete(store, key)
    if not store.put(key, _body(pod_uid, "first"), if_absent=True) and store.head(key) is None:
        store.traits.conditional_writes = False  # the server takes every key for one that exists
    if store.put(key, _body(pod_uid, "second"), if_absent=True):
        store.traits.conditional_writes = False
    body = _body(pod_uid, "third")
    store.put(key, body)
    seen = store.get_range(key, start=_RANGE_START, length=len(body))
    if seen != body[_RANGE_START:]:
        raise StorageRefused(WRITES_NOT_VISIBLE, place=Place(store.bucket, key), count=len(seen))
    deleted = _delete(store, key)
    found = ((CONDITIONAL_WRITES_IGNORED, store.traits.conditional_writes), (DELETIONS_REFUSED, deleted))
    return tuple(f"{warning.name}: {warning.message}" for warning, good in found if not good)


def check_sources(store_for: StoreFor, sources: Iterable[tuple[str, Uri]]) -> None:
    """Raise EmptyPrefix for a source without any object; sources are given with their fields in the spec."""
    for field, source in sources:
        for _ in store_for(source.bucket).list(source.key, limit=1):
            break
        else:
            place = Place(source.bucket, source.key)
            raise StorageRefused(EMPTY_PREFIX, uri=Field(field), place=place, change_uri=Change(field))


def _delete(store: ObjectStore, key: str) -> bool:
    """Whether the object could be deleted; one that must be kept harms nobody."""
    try:
        store.delete(key)
    except ObjectLocked:
        return False
    return True


def _body(pod_uid: str, which: str) -> bytes:
    return f"trainingrun preflight {pod_uid} {which}\n".encode()
