"""Marks of objects below datasets/ that a reader found damaged, for the preparation that can make them again.

Invariant: a mark is a suspicion: it makes a preparation read the object, and is removed once the object has, or is
given, the right bytes. Nothing is deleted because of it, so a reader with bad memory costs one more read and no data.
"""

from __future__ import annotations

from typing import Final

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import StageError, StorageOutage, StorageRefused
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.log import logger
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import TRAININGRUN

MAX_MARKS: Final = 10_000


def mark(store: ObjectStore, keys: BucketKeys, key: str, *, found: StageError, clock: Clock) -> None:
    """Mark the object at `key`. A mark that cannot be written is logged: another reader finds the damage again."""
    place = keys.damage_mark(key)
    if place is None:
        return
    document = {"found": rfc3339(clock.now()), "problem": found.message_in(TRAININGRUN)}
    try:
        store.put(place, documents.encode(document))
    except (StorageRefused, StorageOutage) as error:
        logger.warning("the damage of s3://%s/%s could not be marked: %s", store.bucket, key, error)


def marked(store: ObjectStore, keys: BucketKeys) -> set[str]:
    """Keys of all marked objects: one request, unless there are thousands."""
    found = store.list(f"{keys.damaged}/", limit=MAX_MARKS)
    return {keys.marked_as_damaged(info.key) for info in found}


def unmark(store: ObjectStore, keys: BucketKeys, key: str) -> None:
    """Remove the mark of the object at `key`. A mark that cannot be removed is logged: it only costs a read."""
    place = keys.damage_mark(key)
    if place is None:
        return
    try:
        store.delete(place)
    except (StorageRefused, StorageOutage) as error:
        logger.warning("the mark s3://%s/%s could not be removed: %s", store.bucket, place, error)
