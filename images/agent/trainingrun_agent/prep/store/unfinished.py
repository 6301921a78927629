"""The list of a preparation that goes on: the shards that it has stored, for the attempt that follows an interruption.

Invariant: a shard is listed only once its objects are in the bucket, and the list is removed only once the list of the
whole data set is there. It is a hint, as that one is (previous.py).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import StageError, StorageOutage
from trainingrun_agent.log import logger
from trainingrun_agent.prep.image.intensity import IntensityRange
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.store import previous
from trainingrun_agent.prep.store.previous import ShardList, StoredShard, StoredShards
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore

INTERVAL_SECONDS = 5.0
"""Time between two writes, which then cost nothing that can be measured. At SIGTERM the list is written at once; a pod
that is killed without it, as when its node is lost, loses this much beside the shards that it was at."""


class UnfinishedList:
    """Writes the list while its `with` block runs, and when an error ends the block. Used by several threads.

    `images` has the number of images of every shard. What the attempt before had listed in `found` stays listed until
    the same shard is stored again, if the images are divided into as many shards as then. `intensity` as in ShardList.
    """

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        *,
        found: StoredShards,
        intensity: IntensityRange | None,
        images: Mapping[Split, Sequence[int]],
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._store, self._key, self._images, self._progress, self._clock = store, key, images, progress, clock
        self._intensity = intensity
        self._total = sum(map(sum, images.values()))
        self._shards: dict[Split, list[StoredShard | None]] = {}
        for split, counts in images.items():
            listed = found.get(split, ())
            self._shards[split] = list(listed) if len(listed) == len(counts) else [None] * len(counts)
        self._lock = threading.Lock()
        self._changed, self._in_bucket = False, any(found.values())
        self._due = clock.monotonic() + INTERVAL_SECONDS
        if saved := self._report():
            logger.info("%d of %d images were saved by a preparation that did not end: going on", saved, self._total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._changed and error is not None and not isinstance(error, StorageOutage):
                self._write()

    def add(self, split: Split, number: int, shard: StoredShard) -> None:
        """List a shard whose objects are in the bucket."""
        with self._lock:
            self._shards[split][number] = shard
            self._changed = True
            if self._clock.monotonic() >= self._due:
                self._write()

    def remove(self) -> None:
        """Delete the list, because the one of the whole data set is in the bucket."""
        self._progress.update(savedImages=self._total)
        if self._in_bucket:
            try:
                self._store.delete(self._key)
            except StageError as error:
                logger.warning("the list of an unfinished preparation is left behind: %s", error)

    def _write(self) -> None:
        if previous.write(self._store, self._key, ShardList(self._shards, self._intensity)):
            self._changed, self._in_bucket = False, True
            self._report()
        self._due = self._clock.monotonic() + INTERVAL_SECONDS

    def _report(self) -> int:
        """Show how many images an attempt after this one need not check again; return the number."""
        saved = sum(
            count
            for split, counts in self._images.items()
            for count, shard in zip(counts, self._shards[split], strict=True)
            if shard is not None
        )
        self._progress.update(images=self._total, savedImages=saved)
        return saved
