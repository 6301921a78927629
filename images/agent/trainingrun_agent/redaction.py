"""Masks credentials in every text of the agent.

Invariant: a credential is registered before it is first used. Every text that leaves the process passes `redact` in
outgoing.py, and earlier where it is cut: a part of a credential would not be recognised.
"""

from __future__ import annotations

import threading

SHORTEST = 4
MASK = "[redacted]"
KEPT = 1000
"""Values that are remembered, the newest of all: a pod that runs for weeks renews its credentials each hour."""

_lock = threading.Lock()
_values: dict[str, None] = {}


def register(value: str) -> None:
    """Mask `value` from now on. Values shorter than a secret are ignored: they would mask ordinary words."""
    if len(value) >= SHORTEST:
        with _lock:
            _values.pop(value, None)
            _values[value] = None
            if len(_values) > KEPT:
                del _values[next(iter(_values))]


def redact(text: str) -> str:
    """Mask every registered value in a text, the longest first."""
    with _lock:
        values = sorted(_values, key=len, reverse=True)
    for value in values:
        text = text.replace(value, MASK)
    return text
