"""The agent's log: plain lines on stdout, and `progress {json}` for an operator that cannot reach the pod.

Invariant: every line, tracebacks included, has passed the gate of outgoing.py. A progress line is written at most every
30 s, earlier only if storage stops or starts to answer, and never while progress has not changed.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import deque
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.outgoing import outgoing
from trainingrun_agent.progress import Progress

PROGRESS_EVERY_SECONDS = 30.0
FIRST_PROGRESS_SECONDS = 5.0
CHECK_EVERY_SECONDS = 1.0

logger = logging.getLogger("trainingrun_agent")


class OutgoingFormatter(logging.Formatter):
    """Formats a line as `2026-01-31T12:00:00Z INFO text`. Lines of a traceback are indented, so none looks like one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's
        """The time of a line in UTC, as in RFC 3339."""
        return rfc3339(datetime.fromtimestamp(record.created, UTC))

    def format(self, record: logging.LogRecord) -> str:
        """Format the whole record; a traceback that another formatter left in it has not passed the gate."""
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        """Format the line without its traceback."""
        return outgoing(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's
        """Format the traceback."""
        return "\n".join(f"  {outgoing(line)}" for line in super().formatException(ei).split("\n"))


class RecentLines(logging.Handler):
    """Keeps the last lines, so that they can be uploaded when the attempt ends."""

    def __init__(self, *, max_characters: int) -> None:
        super().__init__()
        self._max = max_characters
        self._lines: deque[str] = deque()
        self._size = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record, and forget the oldest ones; called with the handler's lock."""
        try:
            line = self.format(record)[-self._max + 1 :]
        except (TypeError, ValueError):  # values that do not fit: the handler of stdout has shown that
            return
        self._lines.append(line)
        self._size += len(line) + 1
        while self._size > self._max:
            self._size -= len(self._lines.popleft()) + 1

    def text(self) -> str:
        """The lines, each with its end."""
        with self.lock or nullcontext():
            return "".join(f"{line}\n" for line in self._lines)


RECENT = RecentLines(max_characters=4 << 20)
"""The last lines of this process's log."""


def set_up() -> None:
    """Log to stdout, also what ends a thread; libraries only warnings and errors: their DEBUG shows signed headers."""
    root = logging.getLogger()
    root.handlers[:] = [logging.StreamHandler(sys.stdout), RECENT]
    for handler in root.handlers:
        handler.setFormatter(OutgoingFormatter())
    root.setLevel(logging.WARNING)
    logger.setLevel(logging.INFO)
    threading.excepthook = _log_end_of_thread


class ProgressLines:
    """Writes progress lines in its own thread from `start` to `stop`."""

    def __init__(self, progress: Progress, clock: Clock) -> None:
        self._progress = progress
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="progress-lines", daemon=True)
        self._next = clock.monotonic() + FIRST_PROGRESS_SECONDS
        self._last: dict[str, Any] = {}

    def start(self) -> None:
        """Start the thread that writes the lines."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; no line is written after this returns."""
        self._ended.set()
        self._thread.join()

    def due_line(self) -> str | None:
        """The line to write now, None if there is none."""
        document = self._progress.snapshot()
        now = self._clock.monotonic()
        flipped = _ready(document) != _ready(self._last)
        if document == self._last or (now < self._next and not flipped):
            return None
        self._next = now + PROGRESS_EVERY_SECONDS
        self._last = document
        return f"progress {json.dumps(document, allow_nan=False)}"

    def _loop(self) -> None:
        while not self._clock.wait(self._ended, CHECK_EVERY_SECONDS):
            line = self.due_line()
            if line:
                logger.info(line)


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else ""
    logger.error("thread %s was ended by an unexpected error", name, exc_info=ended.exc_value)


def _ready(document: dict[str, Any]) -> bool:
    return bool(document.get("storage", {}).get("ready", True))
