"""Class names: exact matches only, with the nearest name as a hint.

Invariant: a name is never corrected, only suggested.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterable, Sequence

MAX_SUGGESTION, MAX_COMPARED = 400, 200
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


def suggestion(classes: Sequence[str], found: Collection[str]) -> list[str] | None:
    """Names to try for the classes: those found, and the nearest of those not found. None if too long for a hint.

    A class without any near name is left out.
    """
    others = [name for name in found if name not in classes]
    names = [name if name in found else nearest(name, others) for name in classes]
    known = list(dict.fromkeys(name for name in names if name))
    return known if known and len(", ".join(known)) <= MAX_SUGGESTION else None


def spelling(name: str) -> str:
    """A name without what people overlook: case, blanks and Unicode form."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _fold(name: str) -> str:
    return spelling(name).replace("_", "")
