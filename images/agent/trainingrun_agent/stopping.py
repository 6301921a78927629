"""The stop test: what a thread does once SIGTERM, or Ctrl-C, has asked the process to end.

Invariant: code that works for long calls `raise_if_stopped` every few seconds; nobody else turns the stop flag into
an exception, except where an outage of storage is waited for (storage/retry.py).
"""

from __future__ import annotations

import threading

from trainingrun_agent.errors import Interrupted
from trainingrun_agent.reasons.entry import Reason
from trainingrun_agent.reasons.pods import INTERRUPTED


def raise_if_stopped(stop: threading.Event, entry: Reason = INTERRUPTED, **values: object) -> None:
    """Raise Interrupted if `stop` is set; the entry and its values say what the process was doing."""
    if stop.is_set():
        raise Interrupted(entry, **values)
