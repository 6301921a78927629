"""Finds out whether an object is still the one that was listed, where ETags do not tell.

Some servers answer a read with another ETag than the listing had: gateways, servers with encrypted buckets, and proxies
that compress. Others leave ETags out.

Invariant: an object counts as unchanged only if a listing shows the same ETag as the first listing did, and either was
made after the object was read, or shows the time of change and the size that the read had. Memory is bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

from trainingrun_agent.log import logger
from trainingrun_agent.storage.base import ObjectInfo

PAGE: Final = 1000
MAX_KNOWN: Final = 250_000
"""Objects that are remembered, with about 130 bytes each. Each further one is listed when it is read."""


class ListObjects(Protocol):
    """ObjectStore.list."""

    def __call__(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """List objects."""


class ListedVersions:
    """Lists objects again whose ETag was another one when they were read; a page of neighbours at a time."""

    def __init__(self, list_objects: ListObjects) -> None:
        self._list = list_objects
        self._known: dict[int, int] = {}  # hashes of keys and of versions: the names would take much more
        self._lock = threading.Lock()
        self._logged = False

    def unchanged(self, key: str, *, etag: str, size: int, modified: datetime | None) -> bool:
        """Whether the object that was read, of this size and time, is the one that was listed with this ETag."""
        found = _version(etag, size, modified)
        with self._lock:
            if hash(key) not in self._known and len(self._known) < MAX_KNOWN:
                self._remember_neighbours(key)
            same = self._known.get(hash(key)) == found
        same = same or any(info.key == key and info.etag == etag for info in self._list(key, limit=1))
        if same and not self._logged:
            self._logged = True
            logger.info("ETags of listings and objects differ: changed objects are found by size, time and listings")
        return same

    def _remember_neighbours(self, key: str) -> None:
        folder = key[: key.rfind("/") + 1]
        for info in self._list(folder, start_after=key[:-1], limit=PAGE):
            self._known[hash(info.key)] = _version(info.etag, info.size, info.modified)


def _version(etag: str, size: int, modified: datetime | None) -> int:
    return hash((etag, size, None if modified is None else int(modified.timestamp())))
