"""Streams between files and storage: hashing what is sent, and writing what is received to a new file.

Invariant: exactly the promised number of bytes is sent, or an error raised. What is received is never written through a
link or file that is already there, never joined from two versions of an object, and nothing of it is left after the
download has failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, Self

from trainingrun_agent.disk_space import is_disk_full
from trainingrun_agent.errors import DiskFull, IntegrityError
from trainingrun_agent.reasons.storage import FILE_ENDED_EARLY
from trainingrun_agent.storage.etags import same_etag
from trainingrun_agent.terms import Message, Text

Chunk = bytes | memoryview


class HashingReader:
    """Reads `size` bytes of a file in order and keeps their SHA-256.

    It cannot seek, so that no byte is hashed twice.
    """

    def __init__(self, file: BinaryIO, size: int, *, name: str) -> None:
        self._file = file
        self._left = size
        self._name = name
        self._digest = hashlib.sha256()

    def read(self, amount: int = -1) -> bytes:
        """Up to `amount` bytes, none after the last. Raises IntegrityError when the file ends early."""
        wanted = self._left if amount < 0 else min(amount, self._left)
        data = self._file.read(wanted) if wanted else b""
        if wanted and not data:
            raise IntegrityError(FILE_ENDED_EARLY, name=self._name, missing=self._left)
        self._digest.update(data)
        self._left -= len(data)
        return data

    def hexdigest(self) -> str:
        """SHA-256 of the bytes read so far."""
        return self._digest.hexdigest()


class Readable(Protocol):
    """The body of an answer."""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes."""


def read_up_to(body: Readable, amount: int) -> bytes:
    """The first `amount` bytes of an answer, or all of it.

    A single read returns what had come when the connection broke; only the next one raises.
    """
    parts: list[bytes] = []
    while amount > 0 and (part := body.read(amount)):
        parts.append(part)
        amount -= len(part)
    return b"".join(parts)


class Part(NamedTuple):
    """An object from byte `start` on, of the version that `etag` names: empty where the server names none."""

    start: int
    etag: str
    chunks: Iterable[Chunk]


class Arrived:
    """What has arrived of one object: the file `<path>.partial`, which grows, and the SHA-256 of its bytes.

    Whoever enters it decides how long it is kept, through as many readings as the download takes; then the file is
    under its name or removed. `on_bytes` gets byte increments, a negative one for bytes that are thrown away.
    """

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        self.path, self._partial = path, path.with_name(f"{path.name}.partial")
        self._on_bytes = on_bytes
        self._file: BinaryIO | None = None
        self._kept = False
        self._digest = hashlib.sha256()
        self.size = self.furthest = 0
        """Bytes in the file, and the most that it ever had: bytes that arrive a second time are no progress."""
        self.etag = ""

    def fits(self, part: Part) -> bool:
        """Whether the part goes on where the file ends, in the same version of the object.

        A server that names no versions may have replaced it meanwhile.
        """
        return part.start == self.size and (not self.size or (part.etag != "" and same_etag(part.etag, self.etag)))

    def take(self, part: Part, *, limit: int, what: Text) -> None:
        """Append the part, up to the first chunk beyond `limit` bytes. What arrives before an error is kept.

        Raises DiskFull, and what reading the chunks raises.
        """
        if not self.size:
            self.etag = part.etag
        with _disk_full_named(what, limit, self.path.parent):
            if self._file is None:
                self._file = _new_file(self._partial)
            for chunk in part.chunks:
                self._file.write(chunk)
                self._digest.update(chunk)
                self.size += len(chunk)
                self.furthest = max(self.furthest, self.size)
                self._on_bytes(len(chunk))
                if self.size > limit:
                    break
            self._file.flush()

    def restart(self) -> None:
        """Throw away what has arrived."""
        if self.size:
            self._on_bytes(-self.size)
        self.size, self.etag = 0, ""
        self._digest = hashlib.sha256()
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def hexdigest(self) -> str:
        """SHA-256 of the file."""
        return self._digest.hexdigest()

    def keep(self) -> str:
        """Give the file its name; returns its SHA-256 in hex."""
        if self._file is not None:
            self._file.close()
        self._partial.replace(self.path)
        self._kept = True
        return self.hexdigest()

    def __enter__(self) -> Self:
        """See the class."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file if it was not kept."""
        if self._kept or self._file is None:
            return
        with suppress(OSError):  # a full disk, which was reported already
            self._file.close()
        self._partial.unlink(missing_ok=True)
        if self.size:
            self._on_bytes(-self.size)


@contextmanager
def _disk_full_named(what: Text, limit: int, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        values = {"object": what, "limit": limit, "folder": folder}
        raise DiskFull(what=Message("{object} ({limit} bytes) in {folder}", values)) from error


def _new_file(path: Path) -> BinaryIO:
    """Create the file; anything that the trainer may have put there is removed, never written through."""
    path.unlink(missing_ok=True)
    return path.open("xb")
