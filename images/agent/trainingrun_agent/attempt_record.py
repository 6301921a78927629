"""Where the time of a stage goes: fetch, work, ship.

Invariant: parts do not overlap; progress shows them as they end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from trainingrun_agent.clock import Clock
from trainingrun_agent.progress import Progress
from trainingrun_agent.verdict import Timings

Part = Literal["fetch", "work", "ship"]


class Stopwatch:
    """Adds up seconds per part."""

    def __init__(self, clock: Clock, progress: Progress) -> None:
        self._clock = clock
        self._progress = progress
        self.timings = Timings()

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """Count the time of the block to a part, also when it raises."""
        started = self._clock.monotonic()
        try:
            yield
        finally:
            spent = getattr(self.timings, name) + self._clock.monotonic() - started
            self.timings = replace(self.timings, **{name: spent})
            self._progress.update(timings=self.timings.to_json())
