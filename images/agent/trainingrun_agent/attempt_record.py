"""What becomes known of an attempt while its stage works, and goes into its verdict however the stage ends.

Invariant: the runner owns the record, stages add to it; parts of the time do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from trainingrun_agent.clock import Clock
from trainingrun_agent.progress import Progress
from trainingrun_agent.terms import TRAININGRUN
from trainingrun_agent.verdict import Timings

Part = Literal["fetch", "work", "ship"]


class AttemptRecord:
    """Epoch, numbers and seconds of one attempt; `numbers` as verdict.schema.json says for the stage.

    `terms` are for the message of an error; they have the values of the run's fields once these are known, as
    `grace_seconds` has that of the pod. `ship_logs` can upload the logs then: it returns their address, empty if they
    could not be uploaded.
    """

    def __init__(self, clock: Clock, progress: Progress) -> None:
        self.clock = clock
        self._progress = progress
        self.epoch: int | None = None
        self.numbers: Mapping[str, Any] = {}
        self.timings: Timings | None = None
        self.terms = TRAININGRUN
        self.grace_seconds = 30
        self.ship_logs: Callable[[], str] = str

    def claimed(self, epoch: int) -> None:
        """Record the epoch that this pod has claimed, and show it in progress."""
        self.epoch = epoch
        self._progress.update(epoch=epoch)

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """Add the time of the block to a part, also when the block raises, and show it in progress."""
        started = self.clock.monotonic()
        try:
            yield
        finally:
            timings = self.timings or Timings()
            spent = getattr(timings, name) + self.clock.monotonic() - started
            self.timings = replace(timings, **{name: spent})
            self._progress.update(timings=self.timings.to_json())
