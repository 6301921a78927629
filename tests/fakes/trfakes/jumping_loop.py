"""An event loop whose clock jumps to the next timer instead of waiting; `loop.time()` counts the skipped time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that advances its clock instead of sleeping."""

    def __init__(self) -> None:
        self._jumped = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return super().time() + self._jumped

    def jump(self, seconds: float) -> None:
        self._jumped += seconds


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self._loop.jump(timeout)
        return ready


def run_jumping(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine like asyncio.run, without waiting for timers."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(work)
