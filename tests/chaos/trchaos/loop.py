"""An event loop in virtual time: nothing is waited for, and the same inputs give the same order of steps.

Invariant: nothing in it may wait for a socket, a thread or a process.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
STEP_SECONDS: Final = 1e-6  # that each round takes, so that a wait of next to nothing ends
MAX_ROUNDS: Final = 20_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 0 and jumps to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        self._seconds = self._second = 0.0
        self._rounds = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._seconds

    def jump(self, seconds: float) -> None:
        self._seconds += seconds
        self._rounds += 1
        if self._seconds - self._second > 1.0:
            self._second, self._rounds = self._seconds, 0
        elif self._rounds > MAX_ROUNDS:
            raise HotLoopError(f"more than {MAX_ROUNDS} rounds of the event loop within a second")


class HotLoopError(Exception):
    """Something is done again and again without a pause."""


class StuckError(Exception):
    """Everything waits, and no timer is set."""


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("every task waits for another one")
        self._loop.jump(max(timeout, STEP_SECONDS))
        return []


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine like asyncio.run, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
