"""What the agent needs of a bucket, and no more.

Invariant: every method raises only StorageRefused (NotFound among them), StorageOutage, ObjectTooLarge,
IntegrityError or DiskFull, and the message names the call, the bucket and the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """One object as a listing shows it; `size` in bytes, `etag` without quotes."""

    key: str
    size: int
    etag: str
    modified: datetime


class ByteCounter(Protocol):
    """Gets byte increments, for metrics."""

    def __call__(self, *, down: int = 0, up: int = 0) -> None:
        """Count."""


class ObjectStore(Protocol):
    """One bucket. Keys are absolute in the bucket. Safe to use from several threads."""

    @property
    def bucket(self) -> str:
        """Name of the bucket."""

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """Objects below `prefix` in key order, page by page; keys after `start_after`; at most `limit`."""

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size and ETag, or None when it does not exist."""

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """The whole object. Raises NotFound, ObjectTooLarge beyond `max_bytes`, ObjectChanged with another ETag."""

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """Up to `length` bytes from offset `start`; shorter at the end of the object. Raises NotFound."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write a small object. With `if_absent` (If-None-Match: *), False when the key is taken already."""

    def download(
        self,
        key: str,
        path: Path,
        *,
        size: int,
        sha256: str | None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> str:
        """Stream to `<path>.partial` and rename; returns the SHA-256 in hex.

        `on_bytes` gets byte increments, negative when a broken read starts again. Raises NotFound,
        IntegrityError when size or digest differ, DiskFull.
        """

    def upload(
        self,
        key: str,
        file: BinaryIO,
        *,
        size: int,
        on_bytes: Callable[[int], None] | None = None,
    ) -> str:
        """Stream `size` bytes from the file's start (multipart when large); returns their SHA-256 in hex.

        The file must be seekable. Raises IntegrityError when it holds fewer bytes than `size`; bytes beyond
        are not read.
        """

    def delete(self, key: str) -> None:
        """Remove the object; a key that does not exist is no error."""


StoreFor = Callable[[str], ObjectStore]
"""Opens the store of a bucket by its name; the same object for the same name."""
