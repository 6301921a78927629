"""Files on scratch disk, written from start to end, with their size and SHA-256.

Invariant: a full disk is DiskFull, which names what was being written.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from trainingrun_agent.disk_space import raising_disk_full
from trainingrun_agent.reasons.pods import DISK_FULL_OF_RECORDS


@dataclass(frozen=True)
class LocalFile:
    """A finished file on scratch disk; `size` in bytes, `images` is the number of images in it."""

    path: Path
    size: int
    sha256: str
    images: int


def writing_to_scratch(what: str) -> AbstractContextManager[None]:
    """Raise DiskFull in place of an OSError of the block that means a full disk; `what` is being written."""
    return raising_disk_full(what, DISK_FULL_OF_RECORDS)


class HashingFile:
    """A file being written, which counts its bytes and computes their SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        """Append data; return its offset in the file."""
        offset = self._size
        self._file.write(data)
        self._sha256.update(data)
        self._size += len(data)
        return offset

    def finish(self, images: int) -> LocalFile:
        """Close the file and describe it."""
        self._file.close()
        return LocalFile(self._path, self._size, self._sha256.hexdigest(), images)
