"""Find what belongs to a source but lies beside its folder, or above it.

Invariant: nothing outside of the bucket is looked at, no folder that may hold a whole data set is listed with what is
below it, and what may not be listed or read is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from trainingrun_agent.prep.source.listing import Entry
from trainingrun_agent.prep.source.place import Place

LEVELS = 2
"""Folders above a source that are looked at."""


class Neighbour(NamedTuple):
    """A file beside a source; `place` is its folder, `entry.path` begins with `place.shown`."""

    place: Place
    entry: Entry


def above(place: Place, wanted: Callable[[str], bool], *, levels: int = LEVELS) -> Iterator[Neighbour]:
    """The files in the folders above a place that may be read, the nearest first. `wanted` gets names in lower case."""
    folder: Place | None = place
    for _ in range(levels):
        folder = folder and folder.above
        if folder is None:
            return
        for info in folder.store.children(folder.key).files:
            name = info.key[len(folder.key) :]
            if wanted(name.casefold()) and folder.store.readable(info.key):
                yield Neighbour(folder, Entry(folder.shown + name, info.size, info.etag))
