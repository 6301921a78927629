"""The files that are being read, in the pod's termination message, until the verdict replaces it.

The kubelet reads that file also after it has killed the container for memory, when nothing else can be asked.
Invariant: writing it costs microseconds and never fails the work.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SLOTS, SLOT_BYTES = 6, 256
"""Processes that read at once, each with a line of its own."""
_MARK = b"reading "


class CurrentFile:
    """The line of one process; without `path` nothing is written."""

    def __init__(self, path: Path | None = None, slot: int = 0) -> None:
        self._path, self._slot = path, slot
        self._handle: int | None = None

    def __reduce__(self) -> tuple[type[CurrentFile], tuple[Path | None, int]]:
        """Each process opens the file itself."""
        return CurrentFile, (self._path, self._slot)

    def in_slot(self, slot: int) -> CurrentFile:
        """The line of another process."""
        return CurrentFile(self._path, slot)

    def reading(self, name: str) -> None:
        """Say which file is read now; an empty name if none is. Of a long name, the end is kept."""
        if self._path is None:
            return
        with suppress(OSError):
            if self._handle is None:
                self._handle = _opened(self._path)
            shown = name.encode("utf-8", "replace").replace(b"\n", b" ")[len(_MARK) + 1 - SLOT_BYTES :]
            line = _MARK + shown if name else b""
            os.pwrite(self._handle, line.ljust(SLOT_BYTES - 1) + b"\n", self._slot * SLOT_BYTES)

    def close(self) -> None:
        """Write nothing any more: the file is for the verdict now."""
        self._path = None


def _opened(path: Path) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if os.fstat(handle).st_size < SLOTS * SLOT_BYTES:
        os.pwrite(handle, (b" " * (SLOT_BYTES - 1) + b"\n") * SLOTS, 0)
    return handle
