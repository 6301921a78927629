"""Counts and lists in messages."""

from __future__ import annotations

from collections.abc import Sequence

TOP = 5


def counted(number: int, what: str) -> str:
    """The number with its noun: "1 image", "2 boxes"."""
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('x') else 's'}"


def first_of(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - TOP} more" if len(names) > TOP else ""
    return f"{', '.join(names[:TOP])}{more}"
