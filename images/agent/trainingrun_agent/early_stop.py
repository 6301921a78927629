"""SIGTERM in the second in which the agent starts.

The first process of a container never gets a signal for which it has no handler: the pod that was to end would work on
until its grace period is over. So this handler is set before the agent's other modules are imported, which takes half a
second.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

STAGES = (["prep"], ["train"], ["export"], ["mirror"])
"""The first argument of the processes that are ended by SIGTERM."""
_received: list[int] = []
_CAUGHT = (signal.SIGTERM, signal.SIGINT)


def catch() -> None:
    """Remember the signals that ask the process to end, from now on."""

    def remember(number: int, _frame: FrameType | None) -> None:
        _received.append(number)

    for number in _CAUGHT:
        signal.signal(number, remember)


def set_from_now_on(stop: threading.Event) -> None:
    """Let the signals set `stop`; it is set now if one has arrived since `catch`."""

    def handle(number: int, _frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of signal
        stop.set()

    for number in _CAUGHT:
        signal.signal(number, handle)
    if _received:
        stop.set()
