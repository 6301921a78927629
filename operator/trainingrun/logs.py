"""Log lines of the operator, plain or JSON."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

AGAIN_SECONDS: Final = 600.0
MAX_REMEMBERED: Final = 1000
_CHANGING: Final = re.compile(r"attempt #\d+|resourceVersion=\d+")


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format time, level, logger, message and, if any, the traceback."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
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
    """Log to standard error; of kopf's own messages only those from WARNING up."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else plain)
    handler.addFilter(Seldom())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
