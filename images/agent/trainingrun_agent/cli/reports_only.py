"""Where `doctor` lets preparation write: records are read to their end and dropped, the rest is kept.

Invariant: space is needed for the reports, and for the few shards that are being made, however large the data set is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from trainingrun_agent.storage.folder import CHUNK, FolderStore
from trainingrun_agent.storage.streams import HashingReader


class ReportsOnly(FolderStore):
    """A folder in which nothing below blobs/ stays."""

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """See ObjectStore."""
        if "/blobs/" not in key:
            return super().upload(key, file, size=size, on_bytes=on_bytes)
        file.seek(0)
        reader = HashingReader(file, size, name=key)
        while chunk := reader.read(CHUNK):
            if on_bytes:
                on_bytes(len(chunk))
        return reader.hexdigest()
