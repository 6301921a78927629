"""A bucket with any number of labelled photos that are generated when they are read; other objects are in a folder.

Invariant: each photo has different bytes, which its number determines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from trainingrun_agent.storage.base import ObjectInfo, ObjectStore
from trainingrun_agent.storage.folder_store import FolderStore
from trbench.photos import marked
from trbench.timed_prepare import Outcome, list_only, prepare

PREFIX = "images/"
CLASSES = ("tire",)
_WHEN = datetime(2020, 1, 1, tzinfo=UTC)
_MARK = len(marked(b"", "0000000"))
"""Number of bytes that make a photo different from the others."""


@dataclass(frozen=True, slots=True)
class RepeatedPhoto:
    """A photo and its labels, used for many keys."""

    jpeg: bytes
    xml: bytes


class GeneratedBucket:
    """A bucket with `images` photos below PREFIX; all other keys are files of a folder.

    It is no FolderStore, whose files workers read themselves.
    """

    def __init__(self, root: Path, drawn: list[RepeatedPhoto], images: int) -> None:
        self._folder = FolderStore(root)
        self._drawn, self._images = drawn, images

    def __getattr__(self, name: str) -> Any:
        """All other methods are those of the folder."""
        return getattr(self._folder, name)

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """List the generated photos, or the files of the folder."""
        if prefix != PREFIX:
            yield from self._folder.list(prefix, start_after=start_after, limit=limit)
            return
        for number in range(self._images):
            photo, name = self._drawn[number % len(self._drawn)], f"{PREFIX}{number:07d}"
            yield ObjectInfo(f"{name}.jpg", len(photo.jpeg) + _MARK, f"{number:032x}", _WHEN)
            yield ObjectInfo(f"{name}.xml", len(photo.xml), f"{number:032x}", _WHEN)

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """Read a generated photo, its labels, or a file of the folder."""
        if not key.startswith(PREFIX):
            return self._folder.get(key, max_bytes=max_bytes, etag=etag)
        name, _, suffix = key.removeprefix(PREFIX).partition(".")
        photo = self._drawn[int(name) % len(self._drawn)]
        return marked(photo.jpeg, name) if suffix == "jpg" else photo.xml

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """Read a part of an object."""
        if not key.startswith(PREFIX):
            return self._folder.get_range(key, start=start, length=length)
        return self.get(key, max_bytes=start + length)[start : start + length]


def prepare_generated(folder: Path, drawn: list[RepeatedPhoto], images: int) -> Outcome:
    """Prepare all generated photos; the data set is written to the folder."""
    bucket = cast("ObjectStore", GeneratedBucket(folder, drawn, images))
    return prepare(bucket, PREFIX, bucket, CLASSES, folder)


def list_generated(folder: Path, drawn: list[RepeatedPhoto], images: int) -> float:
    """List all generated photos; returns the seconds it took."""
    return list_only(cast("ObjectStore", GeneratedBucket(folder, drawn, images)), PREFIX)
