"""Small image files of which Pillow would make very much: memory, or minutes of work."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from voc_data import encoded, picture

SMALL = (24, 18)
PNG, GIF, TIFF = (
    encoded(picture(*SMALL, mode=mode), kind) for mode, kind in (("RGB", "PNG"), ("P", "GIF"), ("RGB", "TIFF"))
)
JPEG = encoded(picture(*SMALL))
_UNDEFINED, _LONG = 7, 4


def segment(code: int, data: bytes = b"") -> bytes:
    """A marker of a JPEG with its data."""
    return bytes((0xFF, code)) + struct.pack(">H", len(data) + 2) + data


def chunk(name: bytes, data: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    """A directory of TIFF: tag, type, number of values, value or position."""
    return struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", *entry) for entry in entries) + bytes(4)


def exif(entries: int, size: int) -> bytes:
    """EXIF whose entries all name the same `size` bytes."""
    return b"II*\0\x08\0\0\0" + directory(*((1000 + tag, _UNDEFINED, size, 0) for tag in range(entries)))


def png(width: int, height: int) -> bytes:
    """A PNG of one gray, with all of its pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return PNG[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes((1 + width) * height))) + chunk(b"IEND")


def transparent_png(width: int, height: int) -> bytes:
    """A PNG that takes ten bytes a pixel to decode, as its colours are in a palette and one is transparent."""
    return encoded(Image.new("P", (width, height)), "PNG", transparency=0)


def after_head(jpeg: bytes, more: bytes) -> bytes:
    """A JPEG with something more at its beginning."""
    return jpeg[:2] + more + jpeg[2:]


def in_gif(more: bytes) -> bytes:
    """A GIF with something more before its frame."""
    at = 13 + (6 << (GIF[10] & 7))
    return GIF[:at] + more + GIF[at:]


def in_tiff(*entries: tuple[int, int, int, int], more: bytes = b"") -> bytes:
    """A TIFF with these entries in its directory, in place of those with their tags, and more bytes before it."""
    (at,) = struct.unpack_from("<L", TIFF, 4)
    (count,) = struct.unpack_from("<H", TIFF, at)
    ours = {tag: (tag, *rest) for tag, *rest in struct.iter_unpack("<HHLL", TIFF[at + 2 : at + 2 + 12 * count])}
    made = ours | {entry[0]: entry for entry in entries}
    body = TIFF + more
    return body[:4] + struct.pack("<L", len(body)) + body[8:] + directory(*(made[tag] for tag in sorted(made)))


def scans(count: int) -> bytes:
    """A progressive JPEG with so many scans more, each a repetition of its last."""
    data = encoded(picture(*SMALL, mode="L"), progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def scan_of_one_component(width: int, height: int) -> bytes:
    """A baseline JPEG of this size whose first scan has one of its three components."""
    at = JPEG.index(b"\xff\xda")
    sized = bytearray(JPEG[:at])
    struct.pack_into(">HH", sized, sized.index(b"\xff\xc0") + 5, height, width)
    return bytes(sized) + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + bytes(40) + b"\xff\xd9"


def texts(count: int) -> bytes:
    """A PNG with so many packed texts of a million characters; one of them makes each take four bytes."""
    text = zlib.compress(b"a" * 1_000_000 + "\U0001f600".encode())
    return PNG[:33] + b"".join(chunk(b"iTXt", b"k%d\0\1\0\0\0" % at + text) for at in range(count)) + PNG[33:]


COMMENT = (b"\xff" + b"a" * 255) * 20_000
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG of one line": (
        lambda: png(19_999_999, 1),
        "ImageTooLarge: 19999999 x 1 pixels; a side may have at most 65535",
    ),
    "PNG of one column": (
        lambda: png(1, 19_999_999),
        "ImageTooLarge: 1 x 19999999 pixels; a side may have at most 65535",
    ),
    "JPEG of many scans": (lambda: scans(200), "ImageTooLarge: a JPEG of 2.. scans; at most 100 are decoded"),
    "JPEG of one component a scan": (
        lambda: scan_of_one_component(9000, 9000),
        "ImageTooLarge: 9000 x 9000 pixels; at most 20 million are decoded",
    ),
    "JPEG of many markers": (
        lambda: after_head(JPEG, segment(0xE5) * 1_000_000),
        "ImageCorrupt: cannot be decoded: ValueError: its header has more than 5000 parts",
    ),
    "JPEG of many comments in a segment that Pillow does not skip": (
        lambda: after_head(JPEG, segment(0xF0, segment(0xFE) * 16_000) * 60),
        "ImageCorrupt: cannot be decoded: ValueError: its header has more than 5000 parts",
    ),
    "PNG of many chunks": (
        lambda: PNG[:33] + chunk(b"abCd") * 100_000 + PNG[33:],
        "ImageCorrupt: cannot be decoded: ValueError: its header has more than 5000 parts",
    ),
    "PNG of packed texts": (
        lambda: texts(64),
        "ImageCorrupt: cannot be decoded: ValueError: Too much memory used in text",
    ),
    "GIF of a long comment": (
        lambda: in_gif(b"!\xfe" + COMMENT + b"\0"),
        "ImageCorrupt: cannot be decoded: ValueError: it has more than 1048576 bytes of comments",
    ),
    "GIF of a long comment behind its frame": (
        lambda: GIF[:-1] + b"!\xfe" + COMMENT + b"\0;",
        "ImageCorrupt: cannot be decoded: ValueError: it has more than 1048576 bytes of comments",
    ),
    "TIFF whose entries name the same bytes": (
        lambda: in_tiff(*((tag, _UNDEFINED, 1_000_000, 0) for tag in range(40_000, 43_000)), more=bytes(1_000_000)),
        "ImageCorrupt: cannot be decoded: ValueError: a directory names 300.* bytes of values, but there are only 103",
    ),
    "TIFF of very many strips": (
        lambda: in_tiff((273, _LONG, 500_000, 0), (279, _LONG, 500_000, 0), more=bytes(2_000_000)),
        "ImageCorrupt: cannot be decoded: ValueError: tag 273 has 500000 values, at most 65536 are read",
    ),
    "TIFF of a tile far larger than its picture": (
        lambda: in_tiff((322, _LONG, 1, 30_000), (323, _LONG, 1, 30_000)),
        "ImageCorrupt: cannot be decoded: ValueError: its tiles have more than 20 million pixels",
    ),
}
"""With the beginning of their finding, a regular expression."""
READ: dict[str, Callable[[], bytes]] = {
    "JPEG whose EXIF names the same bytes": lambda: after_head(JPEG, segment(0xE1, b"Exif\0\0" + exif(5000, 60_000))),
    "JPEG whose MPO index names the same bytes": lambda: after_head(JPEG, segment(0xE2, b"MPF\0" + exif(5000, 60_000))),
    "PNG whose EXIF names the same bytes": lambda: PNG[:33] + chunk(b"eXIf", exif(60_000, 700_000)) + PNG[33:],
    "WebP whose EXIF names the same bytes": lambda: encoded(picture(*SMALL), "WEBP", exif=exif(60_000, 700_000)),
}
"""Usable images with EXIF that is not."""
