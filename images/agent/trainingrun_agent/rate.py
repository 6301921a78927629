"""Bytes per second, for progress.

Invariant: constant memory. The rate is an average over the last 10 to 20 seconds, and falls while no bytes arrive.
"""

from __future__ import annotations

WINDOW_SECONDS = 10.0
FIRST_SECONDS = 1.0
"""No rate is given before: it would be a guess."""


class ByteRate:
    """Bytes per second of a phase that began at `start`; times are those of a monotonic clock."""

    def __init__(self, start: float) -> None:
        self._from = self._since = (start, 0)
        self._count: int | None = None

    def reached(self, count: int, *, now: float) -> None:
        """Note how many bytes were processed since the phase began."""
        if now - self._since[0] >= WINDOW_SECONDS:
            self._from, self._since = self._since, (now, count)
        self._count = count

    def per_second(self, *, now: float) -> int | None:
        """The rate, None while it is not known."""
        start, first = self._from
        if self._count is None or now - start < FIRST_SECONDS:
            return None
        # The count decreases when a transfer is repeated.
        return max(0, round((self._count - first) / (now - start)))
