"""The gate for text from elsewhere: whatever the operator writes for people to read passes it on its way out.

Pods, tenants, admission webhooks and other programs write messages that end in the status, in Events and in the log,
from where `kubectl` prints them on a terminal. Invariant: the gate is where text leaves (status, Event, log line,
/readyz), not where it comes in, so that no source can be forgotten. The agent has the same gate for its own output.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

REPLACEMENT: Final = "\ufffd"
_JOINERS: Final = "\u200c\u200d"  # spelling in Persian and in Indic scripts; between ASCII letters they only hide
_T = TypeVar("_T")


def plain(text: str) -> str:
    """Return the text on one line, without what a terminal obeys, a reader cannot see or UTF-8 cannot hold.

    Printable text of every script is kept, any white space becomes a space, and control and format characters, bidi
    overrides and lone surrogates become U+FFFD. The number of characters stays the same, so bounds hold.
    """
    if text.isprintable():
        return text
    return "".join(_shown(text, place) for place in range(len(text)))


def plain_document(value: _T) -> _T:
    """Return a copy of a document with every text in it made plain."""
    return cast("_T", _plain_part(value))


def _plain_part(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else plain(value)
    if isinstance(value, dict):
        return {key: _plain_part(item) for key, item in value.items()}
    return [_plain_part(item) for item in value] if isinstance(value, list) else value


def _shown(text: str, place: int) -> str:
    sign = text[place]
    if sign.isprintable():
        return sign
    if sign in _JOINERS and _is_foreign(text[place - 1 : place]) and _is_foreign(text[place + 1 : place + 2]):
        return sign
    return " " if sign.isspace() else REPLACEMENT


def _is_foreign(sign: str) -> bool:
    return sign.isprintable() and not sign.isascii()
