"""Decode JSON from outside.

Invariant: any text gives a value or ValueError. Python's decoder also raises RecursionError, and gives values that no
other program can be given: nested so deeply that encoding them fails, or with halves of characters.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 64
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(text: bytes | str) -> Any:
    """Decode a value. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def document(data: bytes) -> dict[str, Any]:
    """Decode an object that is nested at most MAX_DEPTH levels. Raises ValueError."""
    found = loads(data)
    if not isinstance(found, dict):
        raise NotAnObjectError("not a JSON object")
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _parts(outer)]
    if level:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if _HALVES.search(data):
        json.dumps(found, ensure_ascii=False).encode()
    return found


class NotAnObjectError(ValueError):
    """It is JSON, but a list, a text or a number."""


def _parts(outer: dict[str, Any] | list[Any]) -> Any:
    return outer.values() if isinstance(outer, dict) else outer
