"""Reading a file once while it is sent, and writing one while it is received.

Invariant: exactly the promised number of bytes is sent, or an error raised; nothing received is written through what
lies in the file's place, and nothing is left of it after an error.
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

    It cannot seek, so no byte is hashed twice.
    """

    def __init__(self, file: BinaryIO, size: int, *, name: str) -> None:
        self._file = file
        self._left = size
        self._name = name
        self._digest = hashlib.sha256()

    def read(self, amount: int = -1) -> bytes:
        """Up to `amount` bytes; none when all were read. Raises IntegrityError when the file ends early."""
        wanted = self._left if amount < 0 else min(amount, self._left)
        data = self._file.read(wanted) if wanted else b""
        if wanted and not data:
            raise IntegrityError(FILE_ENDED_EARLY, name=self._name, missing=self._left)
        self._digest.update(data)
        self._left -= len(data)
        return data

    def hexdigest(self) -> str:
        """SHA-256 of what was read so far."""
        return self._digest.hexdigest()


def save(
    chunks: Iterable[Chunk], partial: Path, *, limit: int, told: Callable[[int], None], what: Text
) -> tuple[int, str]:
    """Write what comes to a new file `partial`, little more than `limit` bytes; returns size and SHA-256 in hex.

    `told` gets byte increments, a negative one after an error. Raises DiskFull, and what reading raises.
    """
    digest, received = hashlib.sha256(), 0
    try:
        with _new_file(partial) as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                told(len(chunk))
                if received > limit:
                    break
    except BaseException as error:
        told(-received)
        partial.unlink(missing_ok=True)
        if is_disk_full(error):
            values = {"object": what, "limit": limit, "folder": partial.parent}
            raise DiskFull(what=Message("{object} ({limit} bytes) in {folder}", values)) from error
        raise
    return received, digest.hexdigest()


def _new_file(path: Path) -> BinaryIO:
    """A file that was not there: what the trainer may have put in its place is removed, and never written through."""
    path.unlink(missing_ok=True)
    return path.open("xb")
