"""An event loop in virtual time: nothing is waited for, and the same inputs give the same order of steps.

Invariant: nothing in it may wait for a socket, a thread or a process.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
STEP_SECONDS: Final = 1e-6  # that each round takes, so that a wait of next to nothing ends
MAX_ROUNDS: Final = 20_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 0 and jumps to the next timer when there is nothing else to do.

    It looks at no selector and keeps its own heap of timers: whole days consist of little else than timers.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self._seconds = self._second = 0.0
        self._rounds = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = itertools.count()  # timers of one moment fire in the order in which they were set
        super().__init__()

    def time(self) -> float:
        return self._seconds

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._seconds + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), timer))
        return timer

    def _run_once(self) -> None:
        """One round: fire the timers that are due, then run what is ready; called by the loop's own methods."""
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        self._seconds += STEP_SECONDS
        if not ready:
            if not timers:
                raise StuckError("every task waits for another one")
            self._seconds = max(self._seconds, timers[0][0])
        self._count_round()
        while timers and timers[0][0] <= self._seconds:
            timer = heapq.heappop(timers)[2]
            if not timer.cancelled():
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _count_round(self) -> None:
        self._rounds += 1
        if self._seconds - self._second > 1.0:
            self._second, self._rounds = self._seconds, 0
        elif self._rounds > MAX_ROUNDS:
            raise HotLoopError(f"more than {MAX_ROUNDS} rounds of the event loop within a second")


class HotLoopError(Exception):
    """Something is done again and again without a pause."""


class StuckError(Exception):
    """Everything waits, and no timer is set."""


def run_virtual(work: Coroutine[Any, Any, T], *, make_loop: Callable[[], asyncio.AbstractEventLoop] = VirtualLoop) -> T:
    """Run a coroutine like asyncio.run, in virtual time; garbage is collected after it."""
    collects = gc.isenabled()
    gc.disable()  # it takes a sixth of the time, and what one execution leaves behind fits in memory
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(work)
    finally:
        if collects:
            gc.enable()
