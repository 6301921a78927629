"""Queue of keys to reconcile: deduplicated, one worker per key at a time, delayed on request and after failures."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Final

BASE_SECONDS: Final = 1.0
MAX_SECONDS: Final = 300.0


class WorkQueue:
    """Single-flight queue of keys for one event loop."""

    def __init__(self, *, jitter: Callable[[], float] = random.random) -> None:
        self._ready: asyncio.PriorityQueue[tuple[int, int, str]] = asyncio.PriorityQueue()
        self._count = itertools.count()  # first come, first served
        self._queued: set[str] = set()
        self._active: set[str] = set()
        self._dirty: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._jitter = jitter

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, key: str, *, first: bool = False) -> None:
        """Ask for a reconcile soon, or before all others (`first`); a key in work is reconciled again afterwards."""
        if key in self._active:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait((0 if first else 1, next(self._count), key))

    def add_after(self, key: str, seconds: float) -> None:
        """Ask for a reconcile after so many seconds; the earliest request wins."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    def retry_after(self, key: str) -> float:
        """Count a failure of the key; return the wait, growing to five minutes, with jitter."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        growth = 2.0 ** min(count, 16)  # bounded, so that many failures do not overflow a float
        return float(min(MAX_SECONDS, BASE_SECONDS * growth) * (0.5 + self._jitter()))

    def forget(self, key: str) -> None:
        """Reset the failures of a key that succeeded: its next failure waits shortest."""
        self._failures.pop(key, None)

    async def work(self, handle: Callable[[str], Awaitable[None]]) -> None:
        """Handle keys without end; `handle` must catch its own errors."""
        while True:
            _, _, key = await self._ready.get()
            self._queued.discard(key)
            self._active.add(key)
            try:
                await handle(key)
            finally:
                self._active.discard(key)
                if key in self._dirty:
                    self._dirty.discard(key)
                    self.add(key)

    def _fire(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)
