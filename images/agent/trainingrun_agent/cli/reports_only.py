"""The store that `doctor` writes to: it drops records, and keeps everything else.

Invariant: disk space is needed only for the reports and for the shards being written, however large the data set is.
"""

from __future__ import annotations

from pathlib import Path

from trainingrun_agent.storage.folder_store import FolderStore


class ReportsOnly(FolderStore):
    """A folder that keeps nothing below blobs/."""

    def take(self, key: str, file: Path) -> bool:
        """See FolderStore."""
        if "/blobs/" not in key:
            return super().take(key, file)
        file.unlink()
        return True
