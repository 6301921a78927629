"""How far the files with the labels of many images are read, for progress.

Invariant: fetching a file and reading it are counted apart, so that neither stands still while it works.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from trainingrun_agent.progress import Progress

LARGE = 8 << 20
"""Bytes of a file from which fetching it is shown: many small ones would only alternate with reading them."""
BUFFER = 256 << 10


class Meter:
    """Counts the bytes of label files that hold the labels of many images; `total` is the sum of their sizes."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._fetched = self._read = 0

    def fetching(self, size: int) -> Callable[[int], None]:
        """Count the bytes of a file of this size as they arrive; negative before a part is sent again."""

        def count(moved: int) -> None:
            self._fetched += moved
            if size >= LARGE:
                self._show("fetching", self._fetched)

        return count

    def open(self, path: Path) -> io.BufferedReader:
        """Open a fetched file, and count its bytes as they are read."""
        return io.BufferedReader(_Counted(path, self._count_read), BUFFER)

    def _count_read(self, count: int) -> None:
        self._read += count
        self._show("reading", self._read)

    def _show(self, phase: str, done: int) -> None:
        self._progress.update(phase=phase, unit="bytes", done=max(0, min(done, self._total)), total=self._total)


class _Counted(io.FileIO):
    """A local file that reports what is read of it."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_read = on_read

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """As FileIO; called by the buffered reader."""
        count = super().readinto(buffer) or 0
        self._on_read(count)
        return count
