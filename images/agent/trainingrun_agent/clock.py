"""The clock of the agent, which tests replace.

Invariant: no other module of the package sleeps or reads a clock.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """The real clock."""

    def now(self) -> datetime:
        """Wall time in UTC, with its time zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait at most `seconds` until `event` is set; True when it is set."""
        return event.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Pause this thread."""
        time.sleep(seconds)


def rfc3339(moment: datetime) -> str:
    """Format a time as `2026-01-31T12:00:00Z`, the only time format in documents of the agent."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
