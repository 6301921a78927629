"""Uploads TensorBoard's event files as they grow.

Invariant: an object at offset o holds exactly the file's bytes from o on, and there are no gaps, so chunks may overlap
but never disagree. Chunks are merged when there are many, and into one object per file when the stage ends, but not in
a pod that is to end: merging sends the whole file again. Readers are right at any moment, because the merged object is
written before those that it replaces are deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.keys import EVENT_FILE, Attempt
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.file_tail import FileTail

MAX_CHUNK_BYTES = 8 << 20
MAX_FILE_BYTES = 2 << 30
MAX_FILES = 200
MERGE_AFTER = 64
"""Number of small chunks of a file after which they are merged. So a file is in at most this many objects, and one for
each MAX_CHUNK_BYTES."""
SOURCES = {"train": (names.MODEL,), "eval_0": (names.MODEL, "eval_0")}
"""By folder in the bucket, the folder in the shared folder."""

_log = logging.getLogger(__name__)


@dataclass
class _Shipped:
    """The chunks of one file in the bucket: their offsets, and the end of their bytes."""

    end: int = 0
    offsets: list[int] = field(default_factory=list)
    small_since: int = 0


class EventShipper:
    """Uploads the event files of one attempt; used from one thread. `merges` says whether chunks may be merged now."""

    def __init__(
        self, store: ObjectStore, attempt: Attempt, folder: Folder, *, merges: Callable[[], bool] = lambda: True
    ) -> None:
        self._store, self._attempt, self._folder, self._merges = store, attempt, folder, merges
        self._files: dict[tuple[str, str], _Shipped] = {}
        self._refused: set[str] = set()

    def ship(self) -> None:
        """Upload what was appended to the files."""
        for name, path in SOURCES.items():
            for file in self._event_files(path):
                self._ship_file(name, file, path, compact=False)

    def compact(self) -> None:
        """Merge the chunks of each file into one object, as long as there is time."""
        for name, file in list(self._files):
            self._ship_file(name, file, SOURCES[name], compact=True)

    def _event_files(self, path: tuple[str, ...]) -> list[str]:
        try:
            with self._folder.walk(*path) as folder:
                return [name for name in folder.names() if EVENT_FILE.fullmatch(name)][-MAX_FILES:]
        except (FileNotFoundError, UnsafeFileError):
            return []

    def _ship_file(self, name: str, file: str, path: tuple[str, ...], *, compact: bool) -> None:
        shipped = self._files.setdefault((name, file), _Shipped())
        try:
            with (
                self._folder.walk(*path) as folder,
                folder.reading(file, max_bytes=MAX_FILE_BYTES) as (source, size),
            ):
                # A file that has become shorter is ignored; its chunks in the bucket stay.
                if compact and size >= shipped.end:
                    self._merge(name, file, source, first=0)
                elif size > shipped.end:
                    self._append(name, file, source, size)
        except FileNotFoundError:
            return
        except UnsafeFileError as error:
            if file not in self._refused:
                self._refused.add(file)
                _log.warning("an event file is not uploaded: %s", error)

    def _append(self, name: str, file: str, source: BinaryIO, size: int) -> None:
        shipped = self._files[name, file]
        while shipped.end < size:
            source.seek(shipped.end)
            data = source.read(min(MAX_CHUNK_BYTES, size - shipped.end))
            if not data:
                return
            self._store.put(self._attempt.event_chunk(name, file, shipped.end), data)
            shipped.offsets.append(shipped.end)
            shipped.end += len(data)
            if len(data) == MAX_CHUNK_BYTES:
                shipped.small_since = len(shipped.offsets)
        first = shipped.small_since
        if len(shipped.offsets) - first > MERGE_AFTER:
            merged = self._merge(name, file, source, first=first)
            # What was merged is merged again until it is large: a file of a long training is in few objects, too.
            if not merged or shipped.end - shipped.offsets[first] >= MAX_CHUNK_BYTES:
                shipped.small_since = len(shipped.offsets)

    def _merge(self, name: str, file: str, source: BinaryIO, *, first: int) -> bool:
        """Merge the chunks from the one with this number on; False if they stay as they are."""
        shipped = self._files[name, file]
        replaced = shipped.offsets[first + 1 :]
        if not replaced or not self._merges():
            return False
        start = shipped.offsets[first]
        try:
            self._store.upload(
                self._attempt.event_chunk(name, file, start), FileTail(source, start), size=shipped.end - start
            )
            for offset in replaced:
                self._store.delete(self._attempt.event_chunk(name, file, offset))
        except StorageRefused as error:
            _log.warning("chunks of event files are not merged: %s", error)
            return False
        del shipped.offsets[first + 1 :]
        return True
