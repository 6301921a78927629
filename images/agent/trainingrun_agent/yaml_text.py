"""Write YAML that every parser reads the same way.

Invariant: a text stays a text, also where YAML 1.1 or 1.2 would read a number, a boolean or something else in its
place, and whatever characters it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

WIDTH = 100
"""Characters of a line up to which a list is written in one line."""
_PLAIN = re.compile(r"[^\W\d][\w.-]*( [\w.-]+)*")
_NOT_TEXT = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")
_ESCAPES = {'"': r"\"", "\\": r"\\"}


def scalar(value: object) -> str:
    """A text or a number; a text in quotes unless it is a plain word in every version of YAML."""
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return f'"{"".join(map(_character, value))}"'


def block(document: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """The lines of a mapping of texts, numbers, lists of them, and mappings."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from block(value, f"{indent}  ")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield from _list(f"{indent}{name}:", [scalar(item) for item in value], indent)
        else:
            yield f"{indent}{name}: {scalar(value)}"


def _list(start: str, items: list[str], indent: str) -> Iterator[str]:
    line = f"{start} [{', '.join(items)}]"
    if len(line) <= WIDTH:
        yield line
        return
    yield start
    yield from (f"{indent}- {item}" for item in items)


def _character(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES or character.isprintable():
        return _ESCAPES.get(character, character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
