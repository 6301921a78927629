"""Retries: calls wait in place for the end of an outage of storage.

Invariant: StorageOutage leaves this module only after the tolerance, and every wait ends early once the pod must stop.
Other errors pass at once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import Interrupted, StorageOutage
from trainingrun_agent.reasons.pods import STOPPED_IN_OUTAGE
from trainingrun_agent.storage.base import ObjectInfo, ObjectStore
from trainingrun_agent.terms import Message

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 15.0
_WAITED = "; waited {seconds:.0f} s of {field[storage.outageToleranceSeconds]}"

T = TypeVar("T")
OnOutage = Callable[[StorageOutage | None], None]
"""Called with the outage after each failed call, and with None once a call succeeds again."""


class Retrier:
    """Repeats calls during an outage; one for all stores and threads of a pod.

    `tolerance_seconds` bounds how long one call may go on failing. After `stop` is set, all waits together take at most
    `after_stop_seconds`, so that the rest of the grace period can still be used.
    """

    def __init__(
        self,
        *,
        tolerance_seconds: float,
        on_outage: OnOutage,
        stop: threading.Event,
        after_stop_seconds: float = 0.0,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._tolerance = tolerance_seconds
        self._on_outage = on_outage
        self._stop = stop
        self._after_stop = after_stop_seconds
        self._clock = clock or Clock()
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failing = False
        self.seen_outage = False
        """Whether any call has failed, however long ago."""
        self._stop_seen: float | None = None

    def run(self, call: Callable[[], T]) -> T:
        """Repeat the call until it succeeds. Raises StorageOutage after the tolerance, Interrupted after `stop`."""
        since: float | None = None
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                result = call()
            except StorageOutage as outage:
                self._report(outage)
                now = self._clock.monotonic()
                since = now if since is None else since
                self._pause(outage, waited=now - since, delay=delay)
                delay = min(LONGEST_DELAY_SECONDS, delay * 2)
            else:
                self._report(None)
                return result

    def _report(self, outage: StorageOutage | None) -> None:
        with self._lock:
            changed = outage is not None or self._failing
            self._failing = outage is not None
            self.seen_outage = self.seen_outage or self._failing
        if changed:
            self._on_outage(outage)

    def _pause(self, outage: StorageOutage, *, waited: float, delay: float) -> None:
        if waited >= self._tolerance:
            raise outage.with_more(Message(_WAITED, {"seconds": waited})) from outage
        # Jitter, so that not all pods repeat their calls at the same moment.
        delay = min(delay * (0.75 + self._jitter() / 2), max(0.0, self._tolerance - waited))
        if not self._stop.is_set():
            self._clock.wait(self._stop, delay)
            return
        now = self._clock.monotonic()
        self._stop_seen = now if self._stop_seen is None else self._stop_seen
        left = self._stop_seen + self._after_stop - now
        if left <= 0:
            raise Interrupted(STOPPED_IN_OUTAGE, outage=outage) from outage
        self._clock.sleep(min(delay, left))


class RetryingStore:
    """An ObjectStore whose calls wait for the end of outages.

    `store` may have short time-outs, so that the first outage shows within seconds: after it `patient` is used, with
    which a server that is only slow can be waited for.
    """

    def __init__(self, store: ObjectStore, retrier: Retrier, *, patient: ObjectStore | None = None) -> None:
        self._first, self._patient = store, patient or store
        self._retrier = retrier

    @property
    def _store(self) -> ObjectStore:
        return self._patient if self._retrier.seen_outage else self._first

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._store.bucket

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """See ObjectStore; after an outage it goes on after the last key."""
        last, found = start_after, 0
        pages: Iterator[ObjectInfo] | None = None

        def step() -> ObjectInfo | None:
            nonlocal pages
            if pages is None:
                left = None if limit is None else limit - found
                pages = self._store.list(prefix, start_after=last, limit=left)
            try:
                return next(pages, None)
            except StorageOutage:
                pages = None
                raise

        while (entry := self._retrier.run(step)) is not None:
            last, found = entry.key, found + 1
            yield entry

    def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        return self._retrier.run(lambda: self._store.head(key))

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """See ObjectStore."""
        return self._retrier.run(lambda: self._store.get(key, max_bytes=max_bytes, etag=etag))

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        return self._retrier.run(lambda: self._store.get_range(key, start=start, length=length))

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """See ObjectStore; after a lost answer a conditional put may find its own object and return False."""
        return self._retrier.run(lambda: self._store.put(key, data, if_absent=if_absent))

    def download(
        self,
        key: str,
        path: Path,
        *,
        size: int,
        sha256: str | None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> str:
        """See ObjectStore; starts again from the first byte after an outage."""
        return self._retrier.run(lambda: self._store.download(key, path, size=size, sha256=sha256, on_bytes=on_bytes))

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """See ObjectStore; starts again from the first byte after an outage."""

        def attempt() -> str:
            sent = 0

            def count_sent(count: int) -> None:
                nonlocal sent
                sent += count
                if on_bytes:
                    on_bytes(count)

            try:
                return self._store.upload(key, file, size=size, on_bytes=count_sent)
            except StorageOutage:
                if on_bytes:
                    on_bytes(-sent)
                raise

        return self._retrier.run(attempt)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self._retrier.run(lambda: self._store.delete(key))
