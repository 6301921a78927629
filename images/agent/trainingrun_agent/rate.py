"""Bytes per second, for progress.

Invariant: memory is constant. The rate is an average over the last ten to twenty seconds and falls during a pause.
"""

from __future__ import annotations

WINDOW_SECONDS = 10.0
FIRST_SECONDS = 1.0
"""A rate over less time would be a guess."""


class ByteRate:
    """The rate of one phase, which began at `start` on a monotonic clock."""

    def __init__(self, start: float) -> None:
        self._from = self._since = (start, 0)
        self._count: int | None = None

    def reached(self, count: int, *, now: float) -> None:
        """Record that `count` bytes were processed since the phase began."""
        if now - self._since[0] >= WINDOW_SECONDS:
            self._from, self._since = self._since, (now, count)
        self._count = count

    def per_second(self, *, now: float) -> int | None:
        """The rate at `now`, None while it is not known."""
        start, first = self._from
        if self._count is None or now - start < FIRST_SECONDS:
            return None
        # A repeated transfer lowers the count.
        return max(0, round((self._count - first) / (now - start)))
