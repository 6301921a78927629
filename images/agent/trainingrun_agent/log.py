"""The agent's log: plain lines on stdout, and `progress {json}` for an operator that cannot reach the pod.

Invariant: every line, tracebacks included, is redacted. A progress line comes at most every 30 s, earlier
only when storage stops or starts to answer, and not at all while nothing changes.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.progress import Progress
from trainingrun_agent.redaction import redact

PROGRESS_EVERY_SECONDS = 30.0
FIRST_PROGRESS_SECONDS = 5.0
LOOK_EVERY_SECONDS = 1.0

logger = logging.getLogger("trainingrun_agent")


class RedactingFormatter(logging.Formatter):
    """`2026-01-31T12:00:00Z INFO text`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's
        """RFC 3339 in UTC."""
        return rfc3339(datetime.fromtimestamp(record.created, UTC))

    def format(self, record: logging.LogRecord) -> str:
        """Redact the finished text, so that arguments and tracebacks are covered."""
        return redact(super().format(record))


def set_up() -> None:
    """Log to stdout; libraries only from WARNING on, because their DEBUG shows signed headers."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger.setLevel(logging.INFO)


class ProgressLines:
    """Writes progress lines from a thread of its own between `start` and `stop`."""

    def __init__(self, progress: Progress, clock: Clock) -> None:
        self._progress = progress
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="progress-lines", daemon=True)
        self._next = clock.monotonic() + FIRST_PROGRESS_SECONDS
        self._last: dict[str, Any] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is written any more when this returns."""
        self._ended.set()
        self._thread.join()

    def look(self) -> str | None:
        """The line that is due now, if any."""
        document = self._progress.snapshot()
        now = self._clock.monotonic()
        flipped = _ready(document) != _ready(self._last)
        if document == self._last or (now < self._next and not flipped):
            return None
        self._next = now + PROGRESS_EVERY_SECONDS
        self._last = document
        return f"progress {json.dumps(document, allow_nan=False)}"

    def _loop(self) -> None:
        while not self._clock.wait(self._ended, LOOK_EVERY_SECONDS):
            line = self.look()
            if line:
                logger.info(line)


def _ready(document: dict[str, Any]) -> bool:
    return bool(document.get("storage", {}).get("ready", True))
