"""Lists the event chunks in the bucket, usually with one request.

Invariant: attempts before the first listed one are settled: there is a later attempt, and they had nothing new for a
while. Every later attempt is listed each time.
"""

from __future__ import annotations

from trainingrun_agent.keys import Attempt, EventChunk, RunKeys
from trainingrun_agent.storage.base import ObjectStore

SETTLED_SECONDS = 300.0
"""A terminating pod may upload for its grace period after its successor has started."""


class EventListing:
    """Lists from an attempt on that moves forward as attempts settle. Times are monotonic seconds."""

    def __init__(self, store: ObjectStore, run: RunKeys) -> None:
        self._store = store
        self._run = run
        self._attempts: dict[str, Attempt] = {}
        self._last_new: dict[int, float] = {}
        self._first_listed: Attempt | None = None

    def chunks(self, now: float) -> list[EventChunk]:
        """The chunks of every attempt that is not settled."""
        after = f"{self._first_listed.events}/" if self._first_listed else ""
        found: list[EventChunk] = []
        for info in self._store.list(f"{self._run.attempts('train')}/", start_after=after):
            attempt = self._run.parse_attempt("train", info.key)
            if attempt is None:
                continue
            self._attempts.setdefault(attempt.folder, attempt)
            self._last_new.setdefault(attempt.epoch, now)
            chunk = attempt.parse_event_chunk(info.key, info.size)
            if chunk is not None:
                found.append(chunk)
        return found

    def copied(self, epochs_with_new: set[int], now: float) -> None:
        """Record which attempts had new bytes, and skip those that have settled from now on."""
        for epoch in epochs_with_new:
            self._last_new[epoch] = now
        known = [self._attempts[folder] for folder in sorted(self._attempts)]
        recent = [attempt for attempt in known if now - self._last_new[attempt.epoch] < SETTLED_SECONDS]
        self._first_listed = next(iter([*recent, *known[-1:]]), None)
