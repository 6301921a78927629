"""Which event chunks the bucket has, in one request as a rule.

Invariant: attempts below the floor are settled, that is a later attempt exists and nothing new came from
them for a while; everything from the floor on is listed every time.
"""

from __future__ import annotations

from trainingrun_agent.keys import Attempt, EventChunk, RunKeys
from trainingrun_agent.storage.base import ObjectStore

SETTLED_SECONDS = 300.0
"""A terminating pod may ship for its grace period after its successor has begun."""


class EventListing:
    """Lists with a floor that rises as attempts settle. Times are monotonic seconds."""

    def __init__(self, store: ObjectStore, run: RunKeys) -> None:
        self._store = store
        self._run = run
        self._attempts: dict[str, Attempt] = {}
        self._news: dict[int, float] = {}
        self._floor: Attempt | None = None

    def chunks(self, now: float) -> list[EventChunk]:
        """Chunks of every attempt that is not settled."""
        after = f"{self._floor.events}/" if self._floor else ""
        found: list[EventChunk] = []
        for info in self._store.list(f"{self._run.attempts('train')}/", start_after=after):
            attempt = self._run.parse_attempt("train", info.key)
            if attempt is None:
                continue
            self._attempts.setdefault(attempt.folder, attempt)
            self._news.setdefault(attempt.epoch, now)
            chunk = attempt.parse_event_chunk(info.key, info.size)
            if chunk is not None:
                found.append(chunk)
        return found

    def copied(self, epochs_with_news: set[int], now: float) -> None:
        """Note which attempts had something new, and raise the floor over those that settled."""
        for epoch in epochs_with_news:
            self._news[epoch] = now
        known = [self._attempts[folder] for folder in sorted(self._attempts)]
        recent = [attempt for attempt in known if now - self._news[attempt.epoch] < SETTLED_SECONDS]
        self._floor = next(iter([*recent, *known[-1:]]), None)
