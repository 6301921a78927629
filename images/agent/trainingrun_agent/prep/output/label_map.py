"""label_map.pbtxt of the Object Detection API.

Invariant: ids are 1..n in the order of spec.dataset.classes; `name` is the exact class name, `display_name`
is ASCII and unique, because the API draws it with a font that has no other letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def label_map(classes: Sequence[str]) -> bytes:
    """Encode label_map.pbtxt for these classes."""
    items = zip(classes, display_names(classes), strict=True)
    return "".join(
        f"item {{\n  name: {_quote(name)}\n  id: {number}\n  display_name: {_quote(shown)}\n}}\n"
        for number, (name, shown) in enumerate(items, start=1)
    ).encode("ascii")


def display_names(classes: Sequence[str]) -> list[str]:
    """ASCII names to display; they are unique, and none is the name of another class."""
    names: list[str] = []
    for number, name in enumerate(classes, start=1):
        shown = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()
        taken = shown in names or (shown != name and shown in classes)
        names.append(f"{shown or 'class'} {number}" if taken or not shown else shown)
    return names


def _quote(text: str) -> str:
    """Quote a string for the protobuf text format; bytes that are not printable ASCII are octal."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
