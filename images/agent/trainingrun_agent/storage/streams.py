"""Streams between files and storage: hashing what is sent, and writing what is received to a new file.

Invariant: exactly the promised number of bytes is sent, or an error raised. What is received is never written through a
link or file that is already there, and nothing of it is left after an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.disk_space import is_disk_full
from trainingrun_agent.errors import DiskFull, IntegrityError
from trainingrun_agent.reasons.storage import FILE_ENDED_EARLY
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


def save(
    chunks: Iterable[Chunk], partial: Path, *, limit: int, on_bytes: Callable[[int], None], what: Text
) -> tuple[int, str]:
    """Write the chunks to a new file `partial`, up to the first beyond `limit` bytes; returns size and SHA-256 in hex.

    `on_bytes` gets byte increments, a negative one after an error. Raises DiskFull, and what reading the chunks raises.
    """
    digest, received = hashlib.sha256(), 0
    try:
        with _new_file(partial) as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                on_bytes(len(chunk))
                if received > limit:
                    break
    except BaseException as error:
        on_bytes(-received)
        partial.unlink(missing_ok=True)
        if is_disk_full(error):
            values = {"object": what, "limit": limit, "folder": partial.parent}
            raise DiskFull(what=Message("{object} ({limit} bytes) in {folder}", values)) from error
        raise
    return received, digest.hexdigest()


def _new_file(path: Path) -> BinaryIO:
    """Create the file; anything that the trainer may have put there is removed, never written through."""
    path.unlink(missing_ok=True)
    return path.open("xb")
