"""The stop test: what a thread does once SIGTERM, or Ctrl-C, has asked the process to end.

Invariant: code that works for long calls `raise_if_stopped` every few seconds; nobody else turns the stop flag into
an exception, except where an outage of storage is waited for (storage/retry.py).
"""

from __future__ import annotations

import threading

from trainingrun_agent.errors import Interrupted


def raise_if_stopped(
    stop: threading.Event,
    when: str = "while the data set was prepared",
    *,
    hint: str = "The next attempt starts by itself.",
) -> None:
    """Raise Interrupted if `stop` is set; `when` says what the process was doing."""
    if stop.is_set():
        raise Interrupted(f"SIGTERM arrived {when}", hint=hint)
