"""Reading a file once while it is sent.

Invariant: exactly the promised number of bytes is read, or an error raised.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from trainingrun_agent.errors import IntegrityError


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
            raise IntegrityError(
                f"the file for {self._name} ended {self._left} bytes early while it was uploaded",
                hint="Something changed the file in the pod's scratch space.",
            )
        self._digest.update(data)
        self._left -= len(data)
        return data

    def hexdigest(self) -> str:
        """SHA-256 of what was read so far."""
        return self._digest.hexdigest()
