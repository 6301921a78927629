"""Text that attacks whoever reads it, and how to see that none of it has arrived."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MARK: Final = "elsewhere"
HOSTILE: Final = (
    f"{MARK} \x1b[2J\x1b]0;owned\x07\x9b31m\x08\x00\x7f\r\n2026-01-01 CRITICAL root: forged\u2028\u2029\x85"
    "\u202e\u2066\u200b\u200d\ufeff\xad\U000e0041 end"
)
"""Escapes, C0, C1, a forged line, bidi overrides, invisible characters."""
BROKEN: Final = f"{HOSTILE} \ud800\udcff"
"""With halves of surrogate pairs, which JSON can hold; not for texts that tests log: pytest cannot pass them on."""

# Written out, so that the tests do not depend on the gate that they test.
DANGEROUS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U000e0000-\U000e00ff]"
)

GATED: Final = {
    "latin": ("Zürich, tire 1", "Zürich, tire 1"),
    "other scripts": ("шина タイヤ 轮胎 إطار צמיג टायर 🛞", "шина タイヤ 轮胎 إطار צמיג टायर 🛞"),
    "combining marks": ("e\u0301 n\u0303", "e\u0301 n\u0303"),
    "a joiner that spells": ("می\u200cروم", "می\u200cروم"),
    "a joiner that hides": ("ti\u200cre\u200d", "ti\ufffdre\ufffd"),
    "joiners in a row": ("د\u200c\u200cد", "د\ufffd\ufffdد"),
    "escape": ("\x1b[31mred", "\ufffd[31mred"),
    "C1 control": ("\x9b31m \x90q \x9d0;t", "\ufffd31m \ufffdq \ufffd0;t"),
    "bell, backspace, delete, null": ("\x07\x08\x7f\x00", "\ufffd" * 4),
    "lines": ("a\r\nb\tc\x0bd\x0ce\x85f\u2028g\u2029h", "a  b c d e f g h"),
    "spaces": ("a\xa0b\u3000c", "a b c"),
    "bidi": ("\u202egpj.exe\u202c \u2066x\u2069", "\ufffdgpj.exe\ufffd \ufffdx\ufffd"),
    "invisible": ("ti\u200bre\ufeff\xad\u2060", "ti\ufffdre\ufffd\ufffd\ufffd"),
    "lone surrogates": ("\ud83d \udcff", "\ufffd \ufffd"),
    "tags": ("\U000e0041", "\ufffd"),
    "": ("", ""),
}
"""Text, and what both gates make of it, that of the operator and that of the agent."""


def texts(document: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a document with its path, in which `[]` stands for the elements of a list."""
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from texts(value, f"{path}.{key}".lstrip("."))
    elif isinstance(document, list | tuple):
        for value in document:
            yield from texts(value, f"{path}[]")


def dangerous(document: object) -> list[str]:
    """Paths and texts of a document that could attack a reader."""
    return [f"{path}: {text!r}" for path, text in texts(document) if DANGEROUS.search(text)]
