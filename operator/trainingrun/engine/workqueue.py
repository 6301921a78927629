"""Queue of keys to reconcile: deduplicated, one worker per key at a time, delayed on request and after failures.

Invariant: a key that failed is held. Until its wait is over, changes of its objects bring it back no sooner than
`HOLD_SECONDS` after the failure, so that a change which each try causes itself does not repeat the try without a pause.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Final

BASE_SECONDS: Final = 1.0
MAX_SECONDS: Final = 300.0
HOLD_SECONDS: Final = 10.0


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
        self._held_until: dict[str, float] = {}
        self._jitter = jitter

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, key: str, *, first: bool = False) -> None:
        """Ask for a reconcile soon, or before all others (`first`); a key in work is reconciled again afterwards."""
        if key in self._active:
            self._dirty.add(key)
        elif key not in self._queued:
            held = self._held_for(key)
            if held > 0:
                self.add_after(key, held)
            else:
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

    def back_off(self, key: str, *, at_least: float = 0.0) -> float:
        """Count a failure and ask for a retry after a wait, growing to five minutes, with jitter; returns the wait."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        growth = 2.0 ** min(count, 16)  # bounded, so that many failures do not overflow a float
        own = min(MAX_SECONDS, BASE_SECONDS * growth) * (0.5 + self._jitter())
        wait = max(own, min(MAX_SECONDS, at_least))
        self._cancel_timer(key)  # it was set before the failure
        self.add_after(key, wait)
        self._held_until[key] = asyncio.get_running_loop().time() + min(wait, HOLD_SECONDS)
        return wait

    def forget_failures(self, key: str) -> None:
        """Reset the failures of a key that succeeded: its next failure waits shortest."""
        self._failures.pop(key, None)
        self._held_until.pop(key, None)

    def forget(self, key: str) -> None:
        """Forget a key whose object is gone, with what was planned for it."""
        self.forget_failures(key)
        self._cancel_timer(key)

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

    def _held_for(self, key: str) -> float:
        until = self._held_until.get(key)
        return 0.0 if until is None else until - asyncio.get_running_loop().time()

    def _fire(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel_timer(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
