"""Which objects below datasets/ a preparation may use without reading them.

Invariant: an object is believed by its size, unless a reader has found it damaged; then it is read, and believed only
if it has its SHA-256. What is not believed counts as not there, so that it is made anew. Used by several threads.
"""

from __future__ import annotations

import threading
from pathlib import Path

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import UNUSABLE, IntegrityError
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.log import logger
from trainingrun_agent.storage import damage
from trainingrun_agent.storage.base import ObjectStore


class StoredObjects:
    """The objects of a bucket with the doubts about them; doubtful ones are read through a file in `scratch`."""

    def __init__(self, store: ObjectStore, keys: BucketKeys, scratch: Path, clock: Clock) -> None:
        self._store, self._keys, self._scratch, self._clock = store, keys, scratch, clock
        self._doubtful = damage.marked(store, keys)
        self._damaged: set[str] = set()
        self._reading = threading.Lock()

    def has(self, key: str, *, size: int, sha256: str) -> bool:
        """Whether the object can be used: it is there with this size and, if in doubt, this SHA-256."""
        info = self._store.head(key)
        if info is None or info.size != size:
            return False
        if key not in self._doubtful:
            return True
        with self._reading:
            return key not in self._doubtful or (key not in self._damaged and self._is_sound(key, size, sha256))

    def found_damaged(self, key: str, found: IntegrityError) -> None:
        """Believe an object no more, here and in later preparations, until `written`."""
        self._damaged.add(key)
        self._doubtful.add(key)
        damage.mark(self._store, self._keys, key, found=found, clock=self._clock)

    def written(self, key: str) -> None:
        """Believe an object again that was given the right bytes."""
        if key in self._doubtful:
            self._settle(key)

    def _is_sound(self, key: str, size: int, sha256: str) -> bool:
        path = self._scratch / ".doubtful"
        try:
            self._store.download(key, path, size=size, sha256=sha256)
        except UNUSABLE as error:
            logger.warning("made again: %s", error)
            self._damaged.add(key)
            return False
        finally:
            path.unlink(missing_ok=True)
        self._settle(key)
        return True

    def _settle(self, key: str) -> None:
        damage.unmark(self._store, self._keys, key)
        self._damaged.discard(key)
        self._doubtful.discard(key)
