"""Progress of a transfer in bytes, and the one place where a running download notices that it is not wanted.

Invariant: after `cancel`, the next bytes of any download raise the error given.
"""

from __future__ import annotations

import threading

from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.pods import STOPPED_WHILE_MOVING
from trainingrun_agent.stopping import raise_if_stopped


class Meter:
    """Sums what several downloads have moved and will move."""

    def __init__(self, progress: Progress, stop: threading.Event, *, phase: str = "fetching") -> None:
        self._progress, self._phase = progress, phase
        self._stop = stop
        self._lock = threading.Lock()
        self._done = self._total = 0
        self._cancelled: Exception | None = None

    def expect(self, size: int) -> None:
        """`size` more bytes will come."""
        with self._lock:
            self._total += size

    def moved(self, size: int) -> None:
        """`size` bytes came; negative when a download starts again. Raises when nobody waits for more."""
        if size > 0 and self._cancelled is not None:
            raise self._cancelled
        if size > 0:
            raise_if_stopped(self._stop, STOPPED_WHILE_MOVING, phase=self._phase)
        with self._lock:
            self._done = max(0, self._done + size)
            done, total = self._done, max(self._total, self._done)
        self._progress.update(phase=self._phase, done=done, total=total, unit="bytes")

    def cancel(self, error: Exception) -> None:
        """End the downloads that run."""
        self._cancelled = error
