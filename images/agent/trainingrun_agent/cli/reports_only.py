"""The store that `doctor` writes to: it hashes and drops records, and keeps everything else.

Invariant: disk space is needed only for the reports and for the shards being written, however large the data set is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from trainingrun_agent.storage.folder_store import CHUNK, FolderStore
from trainingrun_agent.storage.streams import HashingReader


class ReportsOnly(FolderStore):
    """A folder that keeps nothing below blobs/."""

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
