"""The rate at which a count grows, for progress.

Invariant: memory is constant. The rate is an average over one to two windows and falls during a pause.
"""

from __future__ import annotations

FIRST_SECONDS = 1.0
GROWTHS = 3
"""After less, a time left would be a guess."""


class Rate:
    """The rate of a count that was `first` at `start`, on a monotonic clock.

    A new window begins only when the count grows, so that there is a rate however rarely it does.
    """

    def __init__(self, start: float, *, first: int = 0, window: float = 10.0) -> None:
        self._from = self._since = (start, first)
        self._window = window
        self._count: int | None = None
        self._grown_at, self._growths = start, 0

    def reached(self, count: int, *, now: float) -> None:
        """Record the count."""
        if count > (self._since[1] if self._count is None else self._count):
            self._grown_at, self._growths = now, self._growths + 1
            if now - self._since[0] >= self._window:
                self._from, self._since = self._since, (now, count)
        self._count = count

    def per_second(self, *, now: float) -> float | None:
        """The rate at `now`; None in the first second, in which it would be a guess."""
        start, first = self._from
        if self._count is None or now - start < FIRST_SECONDS:
            return None
        # A repeated transfer lowers the count.
        return max(0.0, (self._count - first) / (now - start))

    def seconds_for(self, count: int, *, now: float) -> float | None:
        """How long `count` more takes; None while that is not known.

        Counts grow in leaps, so the time since the last leap counts only once it is longer than all that came before.
        """
        start, first = self._from
        took = self._grown_at - start if now - self._grown_at <= self._grown_at - start else now - start
        grown = (self._count or 0) - first
        if self._growths < GROWTHS or took < FIRST_SECONDS or grown <= 0:
            return None
        return count * took / grown
