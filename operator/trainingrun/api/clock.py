"""Times as the API writes them: RFC 3339, UTC, whole seconds; and the clocks that a process reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of a process: `now` is what time the node has, `monotonic` seconds that only ever go forward.

    Timers are those of the event loop, which has to go as fast as `monotonic`.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


SYSTEM = Clock()


def to_text(moment: datetime) -> str:
    """Format a time as the API writes it."""
    return f"{moment.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"  # half of the time of strftime


def parse(text: str | None) -> datetime | None:
    """Parse a time; None for no text and for whatever is not a time that the API would write."""
    try:
        moment = datetime.fromisoformat(text or "")
        # Arithmetic near the ends of the calendar overflows, and the API has no times before 1970.
        return moment.astimezone(UTC) if moment.tzinfo and 1970 <= moment.year < 9999 else None
    except (ValueError, TypeError, OverflowError):
        return None


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one time of the API to another, never negative; None when either is missing."""
    first, last = parse(start), parse(end)
    if first is None or last is None:
        return None
    return max(0.0, (last - first).total_seconds())
