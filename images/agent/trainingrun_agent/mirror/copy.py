"""Appends new bytes of event files in the bucket to their local copies.

Invariant: a local file holds the beginning of the event file and only grows at its end; it is never replaced by rename,
because TensorBoard's fast loader does not notice that. Its size is the only state, so a restarted mirror continues
where it stopped. Chunks may overlap, and be merged at any moment (ship_events.py).
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable

from trainingrun_agent.errors import NotFound
from trainingrun_agent.keys import EventChunk
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.base import ObjectStore

READ_BYTES = 4 << 20

_log = logging.getLogger(__name__)


def local_name(chunk: EventChunk) -> str:
    """Name in the logdir; the epoch distinguishes equal names of two attempts."""
    return f"{chunk.file}.epoch{chunk.epoch}"


def copy_new(store: ObjectStore, logs: Folder, chunks: Iterable[EventChunk]) -> set[int]:
    """Append the bytes that local files lack; returns the epochs that had new bytes."""
    files: dict[tuple[str, str], list[EventChunk]] = defaultdict(list)
    for chunk in chunks:
        files[chunk.folder, local_name(chunk)].append(chunk)
    return {
        parts[0].epoch
        for (folder, name), parts in sorted(files.items())
        if _append(store, logs, folder, name=name, parts=parts)
    }


def _append(store: ObjectStore, logs: Folder, folder: str, *, name: str, parts: list[EventChunk]) -> bool:
    with logs.sub(folder, create=True) as into, into.appending(name) as (handle, before):
        size = before
        for chunk in sorted(parts, key=lambda part: part.offset):
            if chunk.offset > size:
                break
            try:
                size = _append_chunk(store, chunk, handle, size)
            except NotFound:
                # It was merged into another chunk after it was listed.
                break
        return size > before


def _append_chunk(store: ObjectStore, chunk: EventChunk, handle: int, size: int) -> int:
    end = chunk.offset + chunk.size
    while size < end:
        data = store.get_range(chunk.key, start=size - chunk.offset, length=min(READ_BYTES, end - size))
        if not data:
            break
        size += _write_all(handle, data)
    return size


def _write_all(handle: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    return len(data)
