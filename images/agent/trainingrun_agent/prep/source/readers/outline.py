"""The keys at the beginning of a JSON file, to distinguish label formats.

Invariant: never raises; what the beginning does not show is not in the outline.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.source.readers.json_stream import JSONStream


@dataclass
class Outline:
    """`keys` of the object at the top, or of the first element of the array at the top; `array` says which.

    `inner`: by key, the keys of the first object in its value, or those of its value.
    """

    array: bool = False
    keys: list[str] = field(default_factory=list)
    inner: dict[str, set[str]] = field(default_factory=dict)

    def has(self, key: str, *inner: str) -> bool:
        """Whether the key is there and its value shows all of `inner`."""
        return key in self.keys and self.inner.get(key, set()).issuperset(inner)


def outline(head: bytes) -> Outline:
    """The outline of a document that begins like this."""
    found = Outline()
    stream = JSONStream(io.BytesIO(head))
    with suppress(UnusableError):
        found.array = stream.peek() == "["
        if found.array:
            for _ in stream.items():
                _object(stream, found)
                break
        else:
            _object(stream, found)
    return found


def _object(stream: JSONStream, found: Outline) -> None:
    for key in stream.members():
        found.keys.append(key)
        found.inner[key] = set()
        if stream.peek() == "[":
            for element in stream.elements():
                found.inner[key] |= _keys(element)
        elif stream.peek() == "{":
            for inner in stream.members():
                found.inner[key].add(inner)


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()
