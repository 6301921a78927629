"""Pass large images to a worker process in memory that both processes have open, not through their socket.

What comes through a socket is put together from parts of some hundred kilobytes. An image of 4 MB took 6 ms of CPU in
both processes; this way it takes 1 ms.

Invariant: what was put stays until the call after the next: a worker reads one batch while the next one is put.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from trainingrun_agent.prep.output.scratch_file import writing_to_scratch
from trainingrun_agent.prep.sharding.job import FetchedImage, SentImage
from trainingrun_agent.prep.source.image_labels import ImageLabels

LARGE = 64 << 10
"""Bytes from which an image is passed this way."""
KEPT = 8 << 20
"""Bytes that a file may keep between two batches; the worker gives back more as soon as it has read them."""


class SharedBytes(NamedTuple):
    """`size` bytes from `start` of the file with this descriptor, which is the same in both processes."""

    file: int
    start: int
    size: int


class SharedImage(NamedTuple):
    """A FetchedImage whose bytes are in a file."""

    place: int
    image: SharedBytes
    labels: ImageLabels


PassedImage = SentImage | SharedImage


class SharedFiles:
    """Two files of the main process, which are used in turns."""

    def __init__(self, scratch: Path) -> None:
        self.descriptors = [_new_file(scratch), _new_file(scratch)]
        self._turn = 0

    def put(self, images: Sequence[SentImage]) -> list[PassedImage]:
        """Put the large ones of a batch into a file. Raises DiskFull where the system has no files in memory."""
        self._turn = 1 - self._turn
        file, at = self.descriptors[self._turn], 0
        passed: list[PassedImage] = []
        with writing_to_scratch("images"):
            for one in images:
                if isinstance(one, FetchedImage) and isinstance(one.image, bytes) and len(one.image) >= LARGE:
                    part = SharedBytes(file, at, len(one.image))
                    _write(file, one.image, at)
                    passed.append(SharedImage(one.place, part, one.labels))
                    at += part.size
                else:
                    passed.append(one)
        return passed

    def close(self) -> None:
        """Close the files, which frees their memory once the worker has ended."""
        for file in self.descriptors:
            with suppress(OSError):
                os.close(file)


def taken(passed: Sequence[PassedImage]) -> list[SentImage]:
    """The images, in the worker process, once only. Raises EOFError if a file does not hold what was put there."""
    found: list[SentImage] = []
    ends: dict[int, int] = {}
    for one in passed:
        if isinstance(one, SharedImage):
            found.append(FetchedImage(one.place, _read(one.image), one.labels))
            ends[one.image.file] = one.image.start + one.image.size
        else:
            found.append(one)
    for file, end in ends.items():
        if end > KEPT:
            os.ftruncate(file, 0)
    return found


def _new_file(scratch: Path) -> int:
    if create := getattr(os, "memfd_create", None):  # Linux has it, but a sandbox may refuse it
        with suppress(OSError):
            return int(create("images"))
    with writing_to_scratch("images"):
        file, path = tempfile.mkstemp(dir=scratch)
        Path(path).unlink()
    return file


def _write(file: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, at)
        rest, at = rest[written:], at + written


def _read(part: SharedBytes) -> bytes:
    data = os.pread(part.file, part.size, part.start)
    while len(data) < part.size:
        more = os.pread(part.file, part.size - len(data), part.start + len(data))
        if not more:
            raise EOFError(part)
        data += more
    return data
