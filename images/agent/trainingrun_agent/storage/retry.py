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
from trainingrun_agent.errors import Interrupted, NotFound, StorageOutage
from trainingrun_agent.reasons.pods import STOPPED_IN_OUTAGE
from trainingrun_agent.storage.base import ObjectInfo, ObjectStore
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.terms import Message

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 6.0
"""Short enough that the end of an outage is noticed within seconds."""
_WAITED = "; waited {seconds:.0f} s of {field[storage.outageToleranceSeconds]}"

T = TypeVar("T")


class Retrier:
    """Repeats calls during an outage; one for all stores and threads of a pod.

    `tolerance_seconds` bounds how long one call may go on failing. After `stop` is set, all waits together take at most
    `after_stop_seconds`, so that the rest of the grace period can still be used.
    """

    def __init__(
        self,
        *,
        tolerance_seconds: float,
        health: StorageHealth,
        stop: threading.Event,
        after_stop_seconds: float = 0.0,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._tolerance = tolerance_seconds
        self.health = health
        self._stop = stop
        self._after_stop = after_stop_seconds
        self._clock = clock or Clock()
        self._jitter = jitter
        self._stop_seen: float | None = None

    def run(self, call: Callable[[], T], *, kind: str, small: bool = True) -> T:
        """Repeat a call until it succeeds; `kind` is that of StorageHealth, a `small` call moves few bytes.

        Raises StorageOutage after the tolerance, Interrupted after `stop`.
        """
        since: float | None = None
        delay = FIRST_DELAY_SECONDS
        while True:
            began = self._clock.monotonic()
            try:
                result = call()
            except StorageOutage as outage:
                self.health.failed(kind, outage)
                now = self._clock.monotonic()
                since = now if since is None else since
                self._pause(outage, waited=now - since, delay=delay)
                delay = min(LONGEST_DELAY_SECONDS, delay * 2)
            except NotFound:
                self.health.answered(kind)
                raise
            else:
                self.health.answered(kind, seconds=self._clock.monotonic() - began if small else None)
                return result

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
    """An ObjectStore whose calls wait for the end of outages."""

    def __init__(self, store: ObjectStore, retrier: Retrier) -> None:
        self._store, self._retrier = store, retrier

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

        while (entry := self._run(step, small=False)) is not None:
            last, found = entry.key, found + 1
            yield entry

    def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        return self._run(lambda: self._store.head(key))

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """See ObjectStore."""
        return self._run(lambda: self._store.get(key, max_bytes=max_bytes, etag=etag))

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        return self._run(lambda: self._store.get_range(key, start=start, length=length))

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """See ObjectStore; after a lost answer a conditional put may find its own object and return False."""
        return self._run(lambda: self._store.put(key, data, if_absent=if_absent), kind="writes")

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

        def moved(count: int) -> None:
            self._moved(count)
            if on_bytes:
                on_bytes(count)

        return self._run(lambda: self._store.download(key, path, size=size, sha256=sha256, on_bytes=moved), small=False)

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """See ObjectStore; starts again from the first byte after an outage."""

        def attempt() -> str:
            sent = 0

            def count_sent(count: int) -> None:
                nonlocal sent
                sent += count
                self._moved(count)
                if on_bytes:
                    on_bytes(count)

            try:
                return self._store.upload(key, file, size=size, on_bytes=count_sent)
            except StorageOutage:
                if on_bytes:
                    on_bytes(-sent)
                raise

        return self._run(attempt, kind="writes", small=False)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self._run(lambda: self._store.delete(key), kind="deletions")

    def _run(self, call: Callable[[], T], *, kind: str = "reads", small: bool = True) -> T:
        return self._retrier.run(call, kind=f"{kind} of {self.bucket}", small=small)

    def _moved(self, count: int) -> None:
        if count > 0:  # negative for bytes that are sent or read again
            self._retrier.health.moved()
