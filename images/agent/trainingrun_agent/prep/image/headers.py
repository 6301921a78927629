"""Bounds for what the header of an image file makes Pillow do before any pixel is decoded.

Invariant: opening a file takes memory and time in proportion to its size. A header that would take more is ValueError,
which Pillow passes on for a file, and takes for broken EXIF where it is about EXIF.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from struct import Struct
from typing import IO

from PIL import PngImagePlugin, TiffImagePlugin

MAX_PARTS = 5000
"""Markers of a JPEG or chunks of a PNG before its pixels, each of which becomes several objects."""
MAX_VALUES = 1 << 16
"""Numbers in one entry of a directory, such as the positions of strips of pixels."""
MAX_TILE_PIXELS = 20_000_000
MAX_TEXT_BYTES = 8 << 20
"""Unpacked texts of a PNG, which take up to four times as much memory."""
MAX_EXTENSION_BYTES = 1 << 20
"""Comments of a GIF: Pillow copies all of it for each 255 bytes that it reads."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value by its type in TIFF."""
_BYTES = (1, 2, 6, 7)
"""Types that stay bytes; values of all others become objects."""
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_GIF_BLOCK = re.compile(rb"[!,;]")
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff]")
_ALONE = frozenset((0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))
"""Markers without a length, or whose length Pillow ignores."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA

PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT_BYTES


class HeaderFile(io.BytesIO):
    """A file for Pillow that allows four reads for each part of a header, until `header_ended`."""

    _reads = 0
    _limit: float = 4 * MAX_PARTS

    def read(self, size: int | None = -1, /) -> bytes:
        """See BytesIO. Raises ValueError."""
        self._reads += 1
        if self._reads > self._limit:
            raise _too_many_parts()
        return super().read(size)

    def header_ended(self) -> None:
        """From now on pixels are read, as often as it takes."""
        self._limit = float("inf")


class BoundedDirectory(TiffImagePlugin.ImageFileDirectory_v2):
    """A directory of TIFF, EXIF or MPO. Entries may name the same bytes, and Pillow copies them for each."""

    def load(self, fp: IO[bytes]) -> None:
        """See Pillow. Raises ValueError for a directory that names more than the file holds."""
        start = fp.tell()
        self._check(fp)
        fp.seek(start)
        super().load(fp)

    def _check(self, fp: IO[bytes]) -> None:
        start, end = fp.tell(), fp.seek(0, io.SEEK_END)
        fp.seek(start)
        order, big = self._endian, self._bigtiff
        head, entry = Struct(f"{order}{'Q' if big else 'H'}"), Struct(f"{order}HH{'QQ' if big else 'LL'}")
        (count,) = head.unpack(fp.read(head.size).ljust(head.size, b"\0"))
        data = fp.read(min(count, end // entry.size) * entry.size)
        total, tile = 0, {_TILE_WIDTH: 0, _TILE_HEIGHT: 0}
        for tag, kind, length, value in entry.iter_unpack(data[: len(data) - len(data) % entry.size]):
            size = length * _SIZES.get(kind, 0)
            if 8 < size <= end - value:  # shorter ones are in the entry; Pillow ends at one that the file does not hold
                total += size
                if kind not in _BYTES and length > MAX_VALUES:
                    raise ValueError(f"tag {tag} has {length} values, at most {MAX_VALUES} are read")
            elif tag in tile:
                tile[tag] = max(tile[tag], _number(value, _SIZES.get(kind, 8), entry, order))
        if total > end:
            raise ValueError(f"a directory names {total} bytes of values, but there are only {end}")
        if tile[_TILE_WIDTH] * tile[_TILE_HEIGHT] > MAX_TILE_PIXELS:
            raise ValueError(f"its tiles have more than {MAX_TILE_PIXELS // 1_000_000} million pixels")


def _number(value: int, size: int, entry: Struct, order: str) -> int:
    """A number of `size` bytes that stands at the beginning of an entry's value."""
    room = entry.size // 2 - 2  # half of an entry without tag and type
    return value >> 8 * (room - size) if order == ">" else value % (1 << 8 * size)


# Pillow looks the class up in its module whenever it reads EXIF, TIFF or MPO.
TiffImagePlugin.ImageFileDirectory_v2 = BoundedDirectory  # type: ignore[misc]


def check_extensions(data: bytes) -> None:
    """Raise ValueError for a GIF with too many comments before its second frame, up to which it is read."""
    if not data.startswith(b"GIF8") or len(data) < 13:
        return
    at, total, frames = 13 + _palette(data[10]), 0, 0
    while (found := _GIF_BLOCK.search(data, at)) is not None and found[0] != b";":
        start = found.end()
        if found[0] == b"!":
            at = _blocks_end(data, start + 1)
            total += at - start
        else:
            frames += 1
            if frames > 1 or len(data) < start + 9:
                break
            at = _blocks_end(data, start + 10 + _palette(data[start + 8]))
    if total > MAX_EXTENSION_BYTES:
        raise ValueError(f"it has more than {MAX_EXTENSION_BYTES} bytes of comments")


def _palette(flags: int) -> int:
    """Bytes of the palette that follows a header with these flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks_end(data: bytes, at: int) -> int:
    """The end of blocks that each begin with their length, after the empty one."""
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1


def scans_apart(data: bytes) -> bool:
    """Whether a JPEG has its components in several scans; libjpeg then keeps the coefficients of the whole picture.

    Raises ValueError for too many markers before the first scan.
    """
    at, components = 2, 0
    with suppress(IndexError):  # the end of the file
        for _ in range(MAX_PARTS):
            at = at if data[at] == 0xFF and 0 < data[at + 1] < 0xFF else _next_marker(data, at)
            code, at = data[at + 1], at + 2
            if code in _ALONE:
                continue
            if code in _FRAMES:
                components = data[at + 7]
            elif code == _SCAN:
                return data[at + 2] < components
            at += data[at] << 8 | data[at + 1]
        raise _too_many_parts()
    return False


def _next_marker(data: bytes, at: int) -> int:
    """Where the next marker begins, behind other bytes. Raises IndexError if there is none."""
    found = _JPEG_MARKER.search(data, at)
    return len(data) if found is None else found.end() - 2


def _too_many_parts() -> ValueError:
    return ValueError(f"its header has more than {MAX_PARTS} parts")
