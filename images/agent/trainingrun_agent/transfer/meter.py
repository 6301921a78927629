"""Progress of transfers in bytes, and the way to end them.

Invariant: after `cancel`, the next bytes of any transfer raise the given error.
"""

from __future__ import annotations

import threading

from trainingrun_agent.current_file import CurrentFile
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.pods import STOPPED_WHILE_MOVING
from trainingrun_agent.stopping import raise_if_stopped

_DOING = {"fetching": "downloading", "shipping": "uploading"}


class Meter:
    """Adds up the bytes of several transfers: those done and those expected."""

    def __init__(self, progress: Progress, stop: threading.Event, *, phase: str = "fetching") -> None:
        self._progress, self._phase = progress, phase
        self._stop = stop
        self._lock = threading.Lock()
        self._done = self._total = 0
        self._cancelled: Exception | None = None

    @property
    def current(self) -> CurrentFile:
        """Shows which file is read."""
        return self._progress.current

    def expect(self, size: int) -> None:
        """Expect `size` more bytes."""
        with self._lock:
            self._total += size

    def moved(self, size: int) -> None:
        """Count `size` bytes, negative for a transfer that starts again. Raises after `cancel` and after SIGTERM."""
        if size > 0 and self._cancelled is not None:
            raise self._cancelled
        if size > 0:
            raise_if_stopped(self._stop, STOPPED_WHILE_MOVING, doing=_DOING[self._phase])
        with self._lock:
            self._done = max(0, self._done + size)
            done, total = self._done, max(self._total, self._done)
        self._progress.update(phase=self._phase, done=done, total=total, unit="bytes")

    def cancel(self, error: Exception) -> None:
        """End the running transfers with this error."""
        self._cancelled = error
