"""The name that somebody may have meant: the one most like a name that does not exist.

Invariant: asking costs about a millisecond, however many names there are and whoever chose them.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

MAX_COMPARED: Final = 200
_MAX_LONGER: Final = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like this one; empty if none is like it, or it is known itself."""
    alike = {other for other in known if _may_be_meant(name, other)}
    close = get_close_matches(name, sorted(islice(alike, MAX_COMPARED)), n=1, cutoff=0.6)
    return close[0] if close and name not in alike else ""


def _may_be_meant(name: str, other: str) -> bool:
    """Whether two names begin or end alike, and one is not much longer: cheap, and true of nearly all slips."""
    return abs(len(name) - len(other)) <= _MAX_LONGER and (name[:1] == other[:1] or name[-1:] == other[-1:])
