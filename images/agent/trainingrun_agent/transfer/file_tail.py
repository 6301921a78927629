"""The rest of a file after an offset, as a file.

Invariant: position 0 is the offset; nothing before it can be read.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class FileTail(io.BytesIO):
    """Reads `file` from byte `start` on; it does not close the file."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        super().__init__()
        self._file, self._start = file, start
        file.seek(start)

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, or all if it is negative or None."""
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an absolute position, the only kind that uploads need."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only absolute positions")
        return self._file.seek(self._start + offset) - self._start

    def tell(self) -> int:
        """Position counted from `start`."""
        return self._file.tell() - self._start
