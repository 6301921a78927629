"""Log lines of the operator, plain or JSON; invariant: all of them, tracebacks too, have passed the gate for texts."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType

from trainingrun.plain_text import plain

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
        """Format time, level, logger, message and, if any, the traceback."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": plain(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_up(*, level: str, style: str) -> None:
    """Log to standard error, also what ends the process; of kopf's own messages only those from WARNING up."""
    handler = logging.StreamHandler()
    lines = PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else lines)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    sys.excepthook = _log_end


def _log_end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("ended by an unexpected error", exc_info=(kind, error, traceback))
