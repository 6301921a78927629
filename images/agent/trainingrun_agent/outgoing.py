"""The gate for every text that leaves the agent for people: log, verdict, progress, command line.

Names of files and classes, words of S3 servers and of trainers can hold anything. Invariant: behind the gate a text
holds no registered credential, nothing that a terminal obeys or a reader cannot see, and passes the gate of the
operator unchanged (both are tested with the cases in tests/fakes/trfakes/hostile.py).
"""

from __future__ import annotations

from typing import Final, TypeVar, cast

from trainingrun_agent.redaction import redact

REPLACEMENT: Final = "\ufffd"
_JOINERS: Final = "\u200c\u200d"  # spelling in Persian and in Indic scripts; between ASCII letters they only hide
_PIECE: Final = 1024
_T = TypeVar("_T")


def outgoing(text: str) -> str:
    """Return the text on one line, plain and without credentials."""
    return redact(plain(text))


def outgoing_document(value: _T) -> _T:
    """Return a copy of a document in which every text has passed the gate."""
    made: object = value
    if isinstance(value, str):
        made = outgoing(value)
    elif isinstance(value, dict):
        made = {key: outgoing_document(item) for key, item in value.items()}
    elif isinstance(value, list):
        made = [outgoing_document(item) for item in value]
    return cast("_T", made)


def plain(text: str) -> str:
    """Return the text on one line, without what a terminal obeys, a reader cannot see or UTF-8 cannot hold.

    Printable text of every script is kept, any white space becomes a space, and control and format characters, bidi
    overrides and lone surrogates become U+FFFD. The number of characters stays the same.
    """
    if text.isprintable():
        return text
    # In pieces: each sign of its own takes as much memory as fifty in a text.
    return "".join(
        text[start : start + _PIECE]
        if text[start : start + _PIECE].isprintable()
        else "".join(_shown(text, place) for place in range(start, min(start + _PIECE, len(text))))
        for start in range(0, len(text), _PIECE)
    )


def _shown(text: str, place: int) -> str:
    sign = text[place]
    if sign.isprintable():
        return sign
    if sign in _JOINERS and _is_foreign(text[place - 1 : place]) and _is_foreign(text[place + 1 : place + 2]):
        return sign
    return " " if sign.isspace() else REPLACEMENT


def _is_foreign(sign: str) -> bool:
    return sign.isprintable() and not sign.isascii()
