"""Keeps credentials out of everything the agent says.

Invariant: a value is registered here before it is first used, and every text that leaves the process (log,
verdict, progress) has passed through `redact`.
"""

from __future__ import annotations

import threading

SHORTEST = 4
MASK = "[redacted]"

_lock = threading.Lock()
_values: set[str] = set()


def register(value: str) -> None:
    """Never show `value` again. Values too short to be a secret would only blot out ordinary words."""
    if len(value) >= SHORTEST:
        with _lock:
            _values.add(value)


def redact(text: str) -> str:
    """The text with every registered value masked, longest first."""
    with _lock:
        values = sorted(_values, key=len, reverse=True)
    for value in values:
        text = text.replace(value, MASK)
    return text
