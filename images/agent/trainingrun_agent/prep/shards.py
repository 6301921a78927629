"""Records into shard files on local disk.

Invariant: a record's shard depends on its key and the number of shards only, and its place in the shard on
the order of writing; so the same records in the same order give the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from trainingrun_agent.errors import DiskFull
from trainingrun_agent.prep.tfrecord import frame

TARGET_BYTES = 64 << 20
MAX_SHARDS = 256


@dataclass(frozen=True)
class Shard:
    """A finished shard file; `size` in bytes."""

    path: Path
    size: int
    sha256: str
    images: int


def shard_count(total_bytes: int) -> int:
    """A power of two, so that a growing data set keeps its shards for long."""
    count = 1
    while count < MAX_SHARDS and count * TARGET_BYTES < total_bytes:
        count *= 2
    return count


class ShardWriter:
    """Writes `count` shards of one split below `folder`."""

    def __init__(self, folder: Path, split: str, count: int) -> None:
        self._paths = [folder / f"{split}-{index:05d}.tfrecord" for index in range(count)]
        self._hashes = [hashlib.sha256() for _ in range(count)]
        self._sizes = [0] * count
        self._images = [0] * count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._files = [self._stack.enter_context(path.open("wb")) for path in self._paths]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, key: str, record: bytes) -> None:
        """Append a record. Raises DiskFull."""
        index = bucket_of(key, len(self._paths))
        framed = frame(record)
        try:
            self._files[index].write(framed)
        except OSError as error:
            raise disk_full(error, self._paths[index]) from error
        self._hashes[index].update(framed)
        self._sizes[index] += len(framed)
        self._images[index] += 1

    def finish(self) -> list[Shard]:
        """Close the files; shards without a record are left out."""
        for file, path in zip(self._files, self._paths, strict=True):
            try:
                file.close()
            except OSError as error:
                raise disk_full(error, path) from error
        columns = zip(self._paths, self._sizes, self._hashes, self._images, strict=True)
        return [Shard(path, size, sha.hexdigest(), images) for path, size, sha, images in columns if images]


def bucket_of(key: str, count: int) -> int:
    """The shard of a key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % count


def disk_full(error: OSError, path: Path) -> OSError | DiskFull:
    """DiskFull when that is what the error means, else the error itself."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    return DiskFull(
        f"no space left while writing {path.name}",
        hint="Prepared records need about as much scratch space as the images: give the prep pod more.",
    )
