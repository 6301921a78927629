"""Read plain JPEG files: baseline, in one scan, with nothing in the header that has to be interpreted.

Pillow parses every part of a header in Python, which takes a fifth of the time to decode a photo of 640 x 480 pixels at
an eighth of its size. Its decoder needs no more than that size.

Invariant: what is read here is what Pillow reads of the same bytes. A file whose header has any other part, or that
does not decode without an error, gives None; images.py then reads it and finds out what is wrong.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from PIL import Image

SHRUNK = 8
"""The size is divided by it: by the most that libjpeg can."""
LEAST_SIDE, MOST_PIXELS = 256, 16_000_000
"""Smaller pictures are not shrunk as much; for larger ones the header costs little, and other bounds hold."""
_START = b"\xff\xd8"
_MAX_PARTS = 64
_PART, _FRAME = Struct(">BBH"), Struct(">BHHB")
_FRAME_0, _SCAN, _APP0, _TABLES = 0xC0, 0xDA, 0xE0, 0xDB
_LEAST = {_FRAME_0: 11, 0xC4: 2, _TABLES: 2, 0xDD: 2, _APP0: 16, 0xFE: 2, _SCAN: 6}
"""Markers of plain files, each with its least length: Pillow and libjpeg agree on JFIF only if it is complete."""
_MODES = {1: "L", 3: "RGB"}
_TABLE = 65
"""Bytes of a quantization table: its number, below 16 if its values take one byte each, and its values."""


class PlainHeader(NamedTuple):
    """The header of a plain JPEG: size in pixels, and Pillow's mode."""

    width: int
    height: int
    mode: str


def read_header(data: bytes) -> PlainHeader | None:
    """The header; None if the file is not plain."""
    if not data.startswith(_START):
        return None
    at, found, components = 2, None, 0
    for _ in range(_MAX_PARTS):
        if len(data) < at + 12:
            return None
        mark, code, length = _PART.unpack_from(data, at)
        if mark != 0xFF or length < _LEAST.get(code, 1 << 16):
            return None
        if code == _SCAN:
            complete = length == 6 + 2 * components and len(data) >= at + 2 + length
            return found if complete and data[at + 4] == components else None
        if code == _TABLES and not _are_tables(data[at + 4 : at + 2 + length]):
            return None
        if code == _FRAME_0:
            bits, height, width, components = _FRAME.unpack_from(data, at + 4)
            if found is not None or bits != 8 or components not in _MODES or length != 8 + 3 * components:
                return None
            if min(width, height) < LEAST_SIDE or width * height > MOST_PIXELS:
                return None
            found = PlainHeader(width, height, _MODES[components])
        at += 2 + length
    return None


def _are_tables(data: bytes) -> bool:
    """Whether these are complete tables of one byte for each value; of others, Pillow may refuse the whole file."""
    return len(data) % _TABLE == 0 and max(data[::_TABLE], default=0) < 16


def brightness(data: bytes, header: PlainHeader) -> Image.Image | None:
    """The brightness of the picture at an eighth of its size, for which the whole file is read; None on any error."""
    size = (-(-header.width // SHRUNK), -(-header.height // SHRUNK))
    try:
        return Image.frombytes("L", size, data, "jpeg", "L", "", SHRUNK, 0)
    except Exception:  # decoders raise anything on crafted bytes  # noqa: BLE001
        return None
