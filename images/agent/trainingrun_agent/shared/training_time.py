"""How long the trainer has trained: a GPU that trains is of use, one that waits is not."""

from __future__ import annotations

from trainingrun_agent.clock import Clock
from trainingrun_agent.shared.trainer_documents import TrainerProgress

_WORKING = ("training", "evaluating")


class TrainingTime:
    """The time from the first step of an attempt to the trainer's last sign of work, with evaluations and saves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._advance: float | None = None
        self.seconds: float | None = None
        """None before the first step."""

    def observe(self, progress: TrainerProgress | None) -> None:
        """Take the trainer's newest report; one in which nothing has advanced is no sign of work."""
        if progress is None or progress.last_advance == self._advance:
            return
        self._advance = progress.last_advance
        if self._since is None and progress.phase in _WORKING:
            self._since = self._clock.monotonic()
        if self._since is not None:
            self.seconds = round(self._clock.monotonic() - self._since, 1)
