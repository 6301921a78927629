"""Decode JSON that the operator did not write: verdicts, progress, answers.

Invariant: any text gives a value or ValueError; Python's decoder also raises RecursionError.
"""

from __future__ import annotations

import json
from typing import Any, Final

MAX_DEPTH: Final = 64
_HOLDS_OTHERS: Final = (dict, list)


def loads(text: bytes | str) -> Any:
    """Decode a value. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def document(text: bytes | str) -> dict[str, Any]:
    """Decode an object that is nested at most MAX_DEPTH levels, so that it can be compared and encoded again."""
    found = loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - its callers expect one kind of error
    level: list[Any] = [found]
    depth = 0
    while level and depth < MAX_DEPTH:
        level = [inner for outer in level if isinstance(outer, _HOLDS_OTHERS) for inner in _parts(outer)]
        depth += 1
    if level:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return found


def _parts(outer: dict[str, Any] | list[Any]) -> Any:
    return outer.values() if isinstance(outer, dict) else outer
