"""Class names: exact matches only, with the nearest name as a hint.

Invariant: a name is never corrected, only suggested.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

MAX_SUGGESTION, MAX_COMPARED = 60, 200
"""Characters of a suggestion, and of a name that is compared, which takes as long as both names multiplied."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant: equal ignoring case, blanks and Unicode form, else the most similar."""
    if len(name) > MAX_COMPARED:
        return None
    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(_fold(candidate), candidate)
    close = difflib.get_close_matches(_fold(name), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def suggestion(names: Sequence[str | None]) -> list[str] | None:
    """Names to try for the classes, if all are known, differ, and are few enough for a hint."""
    known = [name for name in names if name is not None]
    right = len(known) == len(names) == len(set(known))
    return known if right and len(", ".join(known)) <= MAX_SUGGESTION else None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip().replace(" ", "").replace("_", "")
