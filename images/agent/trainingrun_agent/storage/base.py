"""The interface of a bucket: the calls that the agent needs.

Invariant: every method raises only StorageRefused (NotFound among them), StorageOutage, ObjectTooLarge,
IntegrityError, DiskFull or Interrupted, and the message names the call, the bucket and the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from trainingrun_agent.storage.server_traits import ServerTraits
from trainingrun_agent.storage.streams import Arrived

MAX_CHILDREN = 10_000


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a listing; `size` in bytes, `etag` without quotes, or what stands for it where the server has none.

    Objects with the same `etag` have the same content.
    """

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Children:
    """What is directly in a folder, in key order; `folders` are keys that end in a slash."""

    files: list[ObjectInfo]
    folders: list[str]


class ByteCounter(Protocol):
    """A callback that counts transferred bytes, for metrics."""

    def __call__(self, *, down: int = 0, up: int = 0) -> None:
        """Add to the counters."""


class ObjectStore(Protocol):
    """One bucket. Keys are absolute in the bucket. Safe to use from several threads."""

    @property
    def bucket(self) -> str:
        """Name of the bucket."""

    @property
    def traits(self) -> ServerTraits:
        """What was learned about the server; its reader may add to it."""

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """Objects below `prefix` in key order, read page by page; only keys after `start_after`, at most `limit`."""

    def children(self, folder: str, *, limit: int = MAX_CHILDREN) -> Children:
        """What is directly in a folder (`a/b/`, or empty), at most `limit`; nothing if it must not be listed."""

    def wider(self) -> tuple[ObjectStore, str] | None:
        """A store of what lies around this one, and the key of this one in it; a bucket has none."""

    def readable(self, key: str) -> bool:
        """Whether the object exists and may be read; access that is denied is an answer, not an error."""

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size and ETag, or None when it does not exist."""

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """The whole object. Raises NotFound, ObjectTooLarge beyond `max_bytes`, ObjectChanged for another ETag."""

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """Up to `length` bytes from offset `start`; shorter at the end of the object. Raises NotFound."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write a small object. With `if_absent` (If-None-Match: *), False if the key exists already.

        If `traits` say that the server has no conditional writes, two writers at once may both get True.
        """

    def download(
        self,
        key: str,
        path: Path,
        *,
        size: int,
        sha256: str | None,
        on_bytes: Callable[[int], None] | None = None,
        arrived: Arrived | None = None,
    ) -> str:
        """Stream to `<path>.partial` and rename it to `path`; returns the SHA-256 in hex.

        `on_bytes` gets byte increments, negative ones for bytes that are read again. Raises NotFound, IntegrityError
        when size or digest differ, DiskFull. With `arrived`, which has the same path and counts the bytes itself, the
        download goes on after what arrived in earlier calls.
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

        The file must be seekable. Raises IntegrityError when it has fewer bytes than `size`; later bytes are not read.
        """

    def delete(self, key: str) -> None:
        """Delete the object; a key that does not exist is not an error. Raises ObjectLocked."""


StoreFor = Callable[[str], ObjectStore]
"""Opens the store of a bucket by its name; returns the same object for the same name."""
