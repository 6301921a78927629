"""Log lines of the operator, plain or JSON; invariant: all of them, tracebacks too, have passed the gate for texts."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

from trainingrun.plain_text import plain, plain_document

AGAIN_SECONDS: Final = 600.0
MAX_REMEMBERED: Final = 1000
_CHANGING: Final = re.compile(r"attempt #\d+|resourceVersion=\d+")
Traceback = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
log = logging.getLogger(__name__)


class PlainFormatter(logging.Formatter):
    """One line per message. Lines of a traceback are indented, so that no text in it looks like a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the whole record; a traceback that another formatter left in it has not passed the gate."""
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        """Format the line without its traceback."""
        return plain(super().formatMessage(record))

    def formatException(self, ei: Traceback) -> str:  # noqa: N802 - logging's
        """Format the traceback."""
        return "\n".join(f"  {plain(line)}" for line in super().formatException(ei).split("\n"))


class JsonFormatter(PlainFormatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format time, level, logger, message, the fields of `extra`, and the traceback, if there are any."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": plain(record.getMessage()),
            **plain_document(getattr(record, "fields", {})),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class Seldom(logging.Filter):
    """Pass the same message of kopf once in ten minutes: its watches of a forbidden namespace try again without end."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock, self._passed = clock, dict[str, float]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log this record."""
        if not record.name.startswith("kopf"):
            return True
        text, moment = _CHANGING.sub("", record.getMessage()), self._clock()
        if moment - self._passed.get(text, -math.inf) < AGAIN_SECONDS:
            return False
        if len(self._passed) >= MAX_REMEMBERED:
            self._passed.clear()
        self._passed[text] = moment
        return True


def set_up(*, level: str, style: str) -> None:
    """Log to standard error, also what ends the process; of kopf's own messages only those from WARNING up."""
    handler = logging.StreamHandler()
    lines = PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else lines)
    handler.addFilter(Seldom())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    sys.excepthook = _log_end


def _log_end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("ended by an unexpected error", exc_info=(kind, error, traceback))
