"""How fast bytes are worked through, for progress.

Invariant: constant memory; the rate is that of the last ten to twenty seconds, and falls while nothing comes.
"""

from __future__ import annotations

WINDOW_SECONDS = 10.0
FIRST_SECONDS = 1.0
"""Before that, a rate would be a guess."""


class ByteRate:
    """Bytes per second of one phase that began at `start`, on a monotonic clock."""

    def __init__(self, start: float) -> None:
        self._from = self._since = (start, 0)
        self._count: int | None = None

    def reached(self, count: int, *, now: float) -> None:
        """So many bytes since the phase began."""
        if now - self._since[0] >= WINDOW_SECONDS:
            self._from, self._since = self._since, (now, count)
        self._count = count

    def per_second(self, *, now: float) -> int | None:
        """None while nothing is known."""
        start, first = self._from
        if self._count is None or now - start < FIRST_SECONDS:
            return None
        # A transfer that starts again counts back.
        return max(0, round((self._count - first) / (now - start)))
