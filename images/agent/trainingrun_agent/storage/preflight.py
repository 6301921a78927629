"""The preflight: checks in the first second that storage can do what the run needs, so that no later stage fails.

Invariant: the object that it writes below `<run>/preflight/` is deleted again; each refusal has its own reason.
"""

from __future__ import annotations

from collections.abc import Iterable

from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.keys import RunKeys, folder_of
from trainingrun_agent.reasons.storage import CONDITIONAL_WRITES_IGNORED, EMPTY_PREFIX, WRITES_NOT_VISIBLE
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
    store.delete(key)
    store.put(key, _body(pod_uid, "first"), if_absent=True)
    ignored = store.put(key, _body(pod_uid, "second"), if_absent=True)
    body = _body(pod_uid, "third")
    store.put(key, body)
    seen = store.get_range(key, start=_RANGE_START, length=len(body))
    if seen != body[_RANGE_START:]:
        raise StorageRefused(WRITES_NOT_VISIBLE, place=Place(store.bucket, key), count=len(seen))
    store.delete(key)
    if not ignored:
        return ()
    return (f"{CONDITIONAL_WRITES_IGNORED.name}: {CONDITIONAL_WRITES_IGNORED.message}",)


def check_sources(store_for: StoreFor, sources: Iterable[tuple[str, Uri]]) -> None:
    """Raise EmptyPrefix for a source without any object; sources are given with their fields in the spec."""
    for field, source in sources:
        for _ in store_for(source.bucket).list(source.key, limit=1):
            break
        else:
            place = Place(source.bucket, source.key)
            raise StorageRefused(EMPTY_PREFIX, uri=Field(field), place=place, change_uri=Change(field))


def _body(pod_uid: str, which: str) -> bytes:
    return f"trainingrun preflight {pod_uid} {which}\n".encode()
