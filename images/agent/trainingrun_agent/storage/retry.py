"""Retries: calls wait in place for the end of an outage of storage, and of refusals that may pass.

A call that storage refuses, though it allowed such calls before in the same attempt, is waited for too: keys are
rotated, session tokens expire, and the kubelet needs about a minute to bring a changed Secret into the pod. A first
call that is refused is a mistake in the spec or the Secret: its error passes at once.

Invariant: StorageOutage leaves this module only after the tolerance, and every wait ends early once the pod must stop.
Other errors pass at once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import Interrupted, NotFound, StorageOutage, StorageRefused
from trainingrun_agent.reasons.access import ENCRYPTION_REFUSED, PROXY_REFUSED, TOKEN_UNUSABLE, WEB_IDENTITY_REFUSED
from trainingrun_agent.reasons.pods import STOPPED_IN_OUTAGE, STOPPED_WHILE_REFUSED
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    BUCKET_NOT_FOUND,
    CLOCK_SKEW,
    CREDENTIALS_MISSING,
    ENDPOINT_NOT_S3,
    INVALID_CREDENTIALS,
    LISTING_ENDLESS,
    TLS_ERROR,
)
from trainingrun_agent.reasons.storage_answers import ACCOUNT_UNUSABLE, ENDPOINT_REDIRECTS
from trainingrun_agent.storage.base import MAX_CHILDREN, Children, ObjectInfo, ObjectStore
from trainingrun_agent.storage.downloads import WORTH_GOING_ON
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.storage.server_traits import ServerTraits
from trainingrun_agent.storage.streams import Arrived
from trainingrun_agent.terms import Message, Place

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 6.0
"""Short enough that the end of an outage is noticed within seconds."""
REFUSED_SECONDS = 300.0
"""How long refusals are waited for. A changed Secret reaches the pod within 90 s; a person needs some minutes."""
MAY_PASS = {
    entry.name
    for entry in (
        ACCESS_DENIED,
        ACCOUNT_UNUSABLE,
        BUCKET_NOT_FOUND,  # as of a gateway that has started before its disks
        CLOCK_SKEW,
        CREDENTIALS_MISSING,
        ENCRYPTION_REFUSED,  # as with a key that was disabled
        ENDPOINT_NOT_S3,  # as of a proxy whose server is away
        ENDPOINT_REDIRECTS,
        INVALID_CREDENTIALS,
        PROXY_REFUSED,
        TLS_ERROR,
        TOKEN_UNUSABLE,
        WEB_IDENTITY_REFUSED,
    )
}
"""Names of refusals that are about access, not about an object or a request."""
_WAITED = "; waited {seconds:.0f} s of {field[storage.outageToleranceSeconds]}"
_NO_ORDER = "it was interrupted, and keys are not in order, so that it cannot go on after the last one"
_REFUSED = "; such calls had worked before in this attempt, and were refused for {seconds:.0f} s"

T = TypeVar("T")
Failure = StorageOutage | StorageRefused
Kind = Literal["lists", "reads", "writes", "deletions"]


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
        self._lock = threading.Lock()
        self._allowed: set[str] = set()  # kinds of calls that have succeeded
        self._stop_seen: float | None = None

    def run(
        self, call: Callable[[], T], *, kind: str, small: bool = True, progress: Callable[[], int] = lambda: 0
    ) -> T:
        """Repeat a call until it succeeds; `kind` is that of StorageHealth, a `small` call moves few bytes.

        `progress` counts the bytes that stay moved when the call fails: one that moved WORTH_GOING_ON of them is no
        part of the outage before it.

        Raises StorageOutage after the tolerance, Interrupted after `stop`, and StorageRefused after REFUSED_SECONDS, or
        at once if no call of this kind has succeeded before, or since one was given up.
        """
        failing, delay, moved = _Failing(), FIRST_DELAY_SECONDS, 0
        while True:
            began = self._clock.monotonic()
            try:
                result = call()
            except NotFound:  # the call was allowed
                self._succeeded(kind)
                raise
            except (StorageOutage, StorageRefused) as failure:
                if not self._may_pass(failure, kind):
                    raise
                self.health.failed(kind, failure)
                if progress() - moved >= WORTH_GOING_ON:
                    failing, delay, moved = _Failing(), FIRST_DELAY_SECONDS, progress()
                failing.now(self._clock.monotonic(), refused=isinstance(failure, StorageRefused))
                self._pause(failure, kind, failing, delay=delay)
                delay = min(LONGEST_DELAY_SECONDS, delay * 2)
            else:
                self._succeeded(kind, seconds=self._clock.monotonic() - began if small else None)
                return result

    def _may_pass(self, failure: Failure, kind: str) -> bool:
        if isinstance(failure, StorageOutage):
            return True
        with self._lock:
            return failure.reason in MAY_PASS and kind in self._allowed

    def _succeeded(self, kind: str, *, seconds: float | None = None) -> None:
        with self._lock:
            self._allowed.add(kind)
        self.health.answered(kind, seconds=seconds)

    def _pause(self, failure: Failure, kind: str, failing: _Failing, *, delay: float) -> None:
        refused, waited = failing.refused, failing.for_seconds
        tolerance, text = (REFUSED_SECONDS, _REFUSED) if refused else (self._tolerance, _WAITED)
        if waited >= tolerance or failing.in_all >= REFUSED_SECONDS + self._tolerance:
            self.health.given_up(kind)
            with self._lock:
                self._allowed.discard(kind)  # what tidies up after this is not waited for again
            seconds = waited if waited >= tolerance else failing.in_all
            raise failure.with_more(Message(text, {"seconds": seconds})) from failure
        # Jitter, so that not all pods repeat their calls at the same moment.
        delay = min(delay * (0.75 + self._jitter() / 2), max(0.0, tolerance - waited))
        if not self._stop.is_set():
            self._clock.wait(self._stop, delay)
            return
        now = self._clock.monotonic()
        self._stop_seen = now if self._stop_seen is None else self._stop_seen
        left = self._stop_seen + self._after_stop - now
        if left <= 0:
            self.health.given_up(kind)
            raise Interrupted(STOPPED_WHILE_REFUSED if refused else STOPPED_IN_OUTAGE, outage=failure) from failure
        self._clock.sleep(min(delay, left))


class _Failing:
    """How long one call has failed: in all, and in the same way. An outage may end in refusals, and begin with them."""

    def __init__(self) -> None:
        self.refused: bool | None = None
        self.for_seconds = self.in_all = 0.0
        self._began: float | None = None
        self._since = 0.0

    def now(self, now: float, *, refused: bool) -> None:
        """It has failed now."""
        self._began = now if self._began is None else self._began
        if refused is not self.refused:
            self.refused, self._since = refused, now
        self.for_seconds, self.in_all = now - self._since, now - self._began


class RetryingStore:
    """An ObjectStore whose calls wait for the end of outages."""

    def __init__(self, store: ObjectStore, retrier: Retrier) -> None:
        self._store, self._retrier = store, retrier

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._store.bucket

    @property
    def traits(self) -> ServerTraits:
        """See ObjectStore."""
        return self._store.traits

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """See ObjectStore; after an outage it goes on after the last key, which needs keys in order."""
        last, found, in_order = start_after, 0, True
        pages: Iterator[ObjectInfo] | None = None

        def step() -> ObjectInfo | None:
            nonlocal pages
            if pages is None:
                left = None if limit is None else limit - found
                pages = self._store.list(prefix, start_after=last, limit=left)
            try:
                return next(pages, None)
            except (StorageOutage, StorageRefused) as failure:
                pages = None
                if in_order:
                    raise
                raise StorageRefused(LISTING_ENDLESS, where=Place(self.bucket, prefix), problem=_NO_ORDER) from failure

        while (entry := self._run(step, kind="lists", small=False)) is not None:
            in_order = in_order and entry.key >= last
            last, found = entry.key, found + 1
            yield entry

    def children(self, folder: str, *, limit: int = MAX_CHILDREN) -> Children:
        """See ObjectStore."""
        return self._run(lambda: self._store.children(folder, limit=limit), kind="lists")

    def wider(self) -> tuple[ObjectStore, str] | None:
        """See ObjectStore."""
        return self._store.wider()

    def readable(self, key: str) -> bool:
        """See ObjectStore."""
        return self._run(lambda: self._store.readable(key))

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
        arrived: Arrived | None = None,
    ) -> str:
        """See ObjectStore; goes on after the last byte after an outage."""

        def moved(count: int) -> None:
            self._moved(count)
            if on_bytes:
                on_bytes(count)

        with nullcontext(arrived) if arrived else Arrived(path, moved) as kept:
            return self._retrier.run(
                lambda: self._store.download(key, path, size=size, sha256=sha256, arrived=kept),
                kind=f"reads of {self.bucket}",
                small=False,
                progress=lambda: kept.furthest,
            )

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
            except (StorageOutage, StorageRefused):
                if on_bytes:
                    on_bytes(-sent)
                raise

        return self._run(attempt, kind="writes", small=False)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self._run(lambda: self._store.delete(key), kind="deletions")

    def _run(self, call: Callable[[], T], *, kind: Kind = "reads", small: bool = True) -> T:
        return self._retrier.run(call, kind=f"{kind} of {self.bucket}", small=small)

    def _moved(self, count: int) -> None:
        if count > 0:  # negative for bytes that are sent or read again
            self._retrier.health.moved()
