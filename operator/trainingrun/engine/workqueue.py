"""Queue of keys to reconcile: deduplicated, one worker per key at a time, delayed on request and after failures.

Keys are served by urgency, and within one urgency the namespaces take turns, so that neither many new runs nor one
namespace hold up the others. Every few turns it is the turn of the urgency that has waited longest: none starves.
Invariant: a key that failed is held. Until its wait is over, changes of its objects bring it back no sooner than
`HOLD_SECONDS` after the failure, so that a change which each try causes itself does not repeat the try without a pause.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

FAIR_TURNS: Final = 8
_FIRST: Final = -1  # before every urgency
BASE_SECONDS: Final = 1.0
MAX_SECONDS: Final = 300.0
HOLD_SECONDS: Final = 10.0


class WorkQueue:
    """Single-flight queue of keys for one event loop."""

    def __init__(
        self, *, urgency_of: Callable[[str], int] = lambda _: 0, jitter: Callable[[], float] = random.random
    ) -> None:
        self._urgency_of = urgency_of
        self._ready = asyncio.Semaphore(0)  # as many as keys are queued
        self._lanes: dict[int, _Lane] = {}  # by urgency
        self._queued: dict[str, int] = {}  # the urgency of each key
        self._turn = 0
        self._active: set[str] = set()
        self._dirty: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._held_until: dict[str, float] = {}
        self._jitter = jitter

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, key: str, *, first: bool = False) -> None:
        """Ask for a reconcile soon, or before all others (`first`); a key in work is reconciled again afterwards.

        A queued key that has become more urgent moves forward.
        """
        if key in self._active:
            self._dirty.add(key)
            return
        urgency = _FIRST if first else self._urgency_of(key)
        queued = self._queued.get(key)
        if queued is not None:
            if urgency < queued:
                self._lanes[queued].discard(key)
                self._put(key, urgency)
            return
        held = self._held_for(key)
        if held > 0:
            self.add_after(key, held)
        else:
            self._put(key, urgency)
            self._ready.release()

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
            await self._ready.acquire()
            key = self._take()
            self._active.add(key)
            try:
                await handle(key)
            finally:
                self._active.discard(key)
                if key in self._dirty:
                    self._dirty.discard(key)
                    self.add(key)

    def _put(self, key: str, urgency: int) -> None:
        self._queued[key] = urgency
        self._lanes.setdefault(urgency, _Lane()).put(key)

    def _take(self) -> str:
        """Take the next key out of the queue."""
        self._turn += 1
        waiting = {urgency: lane for urgency, lane in self._lanes.items() if lane}
        if self._turn % FAIR_TURNS == 0:
            lane = min(waiting.values(), key=lambda lane: lane.served_at)
        else:
            lane = waiting[min(waiting)]
        lane.served_at = self._turn
        key = lane.take()
        del self._queued[key]
        return key

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


class _Lane:
    """Keys of one urgency: first come, first served within a namespace, and the namespaces in turn."""

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, None]] = {}
        self.served_at = 0

    def __len__(self) -> int:
        return len(self._namespaces)

    def put(self, key: str) -> None:
        self._namespaces.setdefault(_namespace_of(key), {})[key] = None

    def discard(self, key: str) -> None:
        keys = self._namespaces[_namespace_of(key)]
        del keys[key]
        if not keys:
            del self._namespaces[_namespace_of(key)]

    def take(self) -> str:
        """Take the first key of the namespace whose turn it is."""
        namespace, keys = next(iter(self._namespaces.items()))
        key = next(iter(keys))
        del self._namespaces[namespace], keys[key]
        if keys:
            self._namespaces[namespace] = keys  # the last one now
        return key


def _namespace_of(key: str) -> str:
    return key.partition("/")[0]
