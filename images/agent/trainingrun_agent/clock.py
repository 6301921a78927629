"""Time as the agent sees it, so that tests can own it.

Invariant: nothing else in the package sleeps or reads a clock.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """The real clock."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`; True when it is set."""
        return event.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Pause this thread."""
        time.sleep(seconds)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`, the only time format in documents the agent writes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
