"""Read one object of a source as it was listed.

Invariant: at most as many bytes as were listed are read. An object that is not the listed one any more is
UnusableError of kind OBJECT_CHANGED, one that is listed under a key that is not its own, of kind KEY_NOT_LISTED, and
one in an archive, of kind OBJECT_ARCHIVED; only storage itself raises anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from trainingrun_agent.errors import (
    IntegrityError,
    NotFound,
    ObjectArchived,
    ObjectChanged,
    ObjectTooLarge,
    StageError,
)
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.image_files import (
    FILE_TOO_LARGE,
    KEY_NOT_LISTED,
    OBJECT_ARCHIVED,
    OBJECT_CHANGED,
)
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.place import Place

MAX_LISTED = 1000
"""Objects that are listed again to find out what became of one: a page."""
_ODD = re.compile(r"[\x00-\x20\x7f-\x9f?+%\ufffd-\uffff]")
"""What servers write in place of characters that they do not list, and those characters."""


class Unread(NamedTuple):
    """An object that is still to be read, with the arguments of `read`."""

    place: Place
    entry: Entry
    limit: int

    def read(self) -> bytes:
        """See `read`."""
        return read(self.place, self.entry, limit=self.limit)


def read(place: Place, entry: Entry, *, limit: int) -> bytes:
    """Read the object. Raises UnusableError if it is larger than `limit`."""
    _check_size(entry, limit)
    try:
        data = place.store.get(place.key_of(entry.path), max_bytes=entry.size, etag=entry.etag)
    except (NotFound, ObjectTooLarge, ObjectChanged) as problem:
        raise _changed(place, entry, problem) from problem
    except ObjectArchived as problem:
        raise _archived(problem) from problem
    if len(data) != entry.size:
        raise UnusableError(OBJECT_CHANGED, case="size", size=entry.size, found=len(data))
    return data


def download(place: Place, entry: Entry, *, limit: int, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Download an object that is too large for memory to a local file. Raises UnusableError, DiskFull."""
    _check_size(entry, limit)
    try:
        place.store.download(place.key_of(entry.path), path, size=entry.size, sha256=None, on_bytes=on_bytes)
    except (NotFound, ObjectTooLarge, IntegrityError) as problem:
        raise _changed(place, entry, problem) from problem
    except ObjectArchived as problem:
        raise _archived(problem) from problem


def _check_size(entry: Entry, limit: int) -> None:
    if entry.size > limit:
        raise UnusableError(FILE_TOO_LARGE, size=entry.size, limit=limit)


def _changed(place: Place, entry: Entry, problem: StageError) -> UnusableError:
    if not isinstance(problem, NotFound):
        return UnusableError(OBJECT_CHANGED, case="replaced", size=entry.size)
    if _listed(place, entry):
        return UnusableError(KEY_NOT_LISTED, case="other", key=ascii(place.key_of(entry.path)))
    return UnusableError(OBJECT_CHANGED, case="gone", size=entry.size)


def _archived(problem: ObjectArchived) -> UnusableError:
    storage_class = str(problem.values.get("storage_class", ""))
    if not storage_class:
        return UnusableError(OBJECT_ARCHIVED, case="plain")
    return UnusableError(OBJECT_ARCHIVED, case="class", storageClass=storage_class)


def _listed(place: Place, entry: Entry) -> bool:
    """Whether an object that cannot be found is listed all the same, because of a character in its key.

    What stands in the key for another character would not be found as a prefix: the part before it is listed.
    """
    key = place.key_of(entry.path)
    odd = _ODD.search(key)
    return odd is not None and any(info.key == key for info in place.store.list(key[: odd.start()], limit=MAX_LISTED))
