"""label_map.pbtxt of the Object Detection API.

Invariant: ids are 1..n in the order of spec.dataset.classes; `name` is the exact class name, `display_name`
is ASCII and unique, because the API draws it with a font that knows nothing else.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def label_map(classes: Sequence[str]) -> bytes:
    """The file's bytes."""
    items = zip(classes, display_names(classes), strict=True)
    return "".join(
        f"item {{\n  name: {_quote(name)}\n  id: {number}\n  display_name: {_quote(shown)}\n}}\n"
        for number, (name, shown) in enumerate(items, start=1)
    ).encode("ascii")


def display_names(classes: Sequence[str]) -> list[str]:
    """ASCII names, unique, none of them another class's name."""
    names: list[str] = []
    for number, name in enumerate(classes, start=1):
        shown = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()
        taken = shown in names or (shown != name and shown in classes)
        names.append(f"{shown or 'class'} {number}" if taken or not shown else shown)
    return names


def _quote(text: str) -> str:
    """A string of the protobuf text format; what is not printable ASCII as octal bytes."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
