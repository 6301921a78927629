"""Read one object of a source as it was listed.

Invariant: at most as many bytes as were listed are read; an object that is not the listed one any more is
UnusableError of kind OBJECT_CHANGED, and only storage itself raises anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trainingrun_agent.errors import IntegrityError, NotFound, ObjectChanged, ObjectTooLarge, StageError
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.image_files import FILE_TOO_LARGE, OBJECT_CHANGED
from trainingrun_agent.prep.source.listing import Entry
from trainingrun_agent.prep.source.place import Place


def read(place: Place, entry: Entry, *, limit: int) -> bytes:
    """Read the object. Raises UnusableError if it is larger than `limit`."""
    _check_size(entry, limit)
    try:
        data = place.store.get(place.key_of(entry.path), max_bytes=entry.size, etag=entry.etag)
    except (NotFound, ObjectTooLarge, ObjectChanged) as problem:
        raise _changed(entry, problem) from problem
    if len(data) != entry.size:
        raise UnusableError(OBJECT_CHANGED, case="size", size=entry.size, found=len(data))
    return data


def download(place: Place, entry: Entry, *, limit: int, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Download an object that is too large for memory to a local file. Raises UnusableError, DiskFull."""
    _check_size(entry, limit)
    try:
        place.store.download(place.key_of(entry.path), path, size=entry.size, sha256=None, on_bytes=on_bytes)
    except (NotFound, ObjectTooLarge, IntegrityError) as problem:
        raise _changed(entry, problem) from problem


def _check_size(entry: Entry, limit: int) -> None:
    if entry.size > limit:
        raise UnusableError(FILE_TOO_LARGE, size=entry.size, limit=limit)


def _changed(entry: Entry, problem: StageError) -> UnusableError:
    case = "gone" if isinstance(problem, NotFound) else "replaced"
    return UnusableError(OBJECT_CHANGED, case=case, size=entry.size)
