"""A file seen from an offset on.

Invariant: position 0 is the offset; nothing before it can be read.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class FileTail(io.BytesIO):
    """Reads `file` from byte `start` on. It neither owns nor closes the file."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        super().__init__()
        self._file, self._start = file, start
        file.seek(start)

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, all that are left when negative or None."""
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Only absolute positions, which is what uploads need."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only absolute positions")
        return self._file.seek(self._start + offset) - self._start

    def tell(self) -> int:
        """Position counted from `start`."""
        return self._file.tell() - self._start
