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
    _stopping: bool

    def __init__(self) -> None:
        self._seconds = self._second = 0.0
        self._rounds = 0
        self._timers: list[tuple[float, int, _Handle]] = []
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
        timer = _Handle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), timer))
        return timer

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(0.0, callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _run_once(self) -> None:
        """Run rounds until the loop is to stop: in each, fire the timers that are due, then run what is ready.

        `run_forever` calls it for one round; an execution has thousands that do little.
        """
        timers, ready, pop = self._timers, self._ready, heapq.heappop
        while True:
            while timers and timers[0][2]._cancelled:
                pop(timers)
            self._seconds += STEP_SECONDS
            if not ready:
                if not timers:
                    raise StuckError("every task waits for another one")
                self._seconds = max(self._seconds, timers[0][0])
            now = self._seconds
            self._rounds += 1
            if now - self._second > 1.0:
                self._second, self._rounds = now, 0
            elif self._rounds > MAX_ROUNDS:
                raise HotLoopError(f"more than {MAX_ROUNDS} rounds of the event loop within a second")
            while timers and timers[0][0] <= now:
                timer = pop(timers)[2]
                if not timer._cancelled:
                    ready.append(timer)
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
            if self._stopping:
                return


class _Handle(asyncio.TimerHandle):
    """A callback, without what asyncio keeps of it for debugging, which takes longer than the call."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        args: tuple[*Ts],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._when, self._callback, self._args, self._loop = when, callback, args, loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled, self._source_traceback, self._repr = False, None, None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = self._args = None  # type: ignore[assignment]


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
