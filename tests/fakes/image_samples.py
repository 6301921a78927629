"""Image files of many kinds, generated: those that preparation copies, those that it converts, and unusable ones with
the code of their finding."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from voc_data import encoded, jpeg, picture

_SHORT = struct.Struct("<H")
CLEAN = jpeg()
EXIF = Image.Exif()
EXIF[0x0112] = 6


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header states this size, with almost no pixel data."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def flipped(data: bytes, at: int) -> bytes:
    """A copy with one byte inverted."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


KEPT = {
    "JPEG": CLEAN,
    "gray JPEG": encoded(picture(mode="L")),
    "progressive JPEG": encoded(picture(), progressive=True),
    "trailing garbage": CLEAN + b"garbage" * 10,
}


def deep(low: int = 0, high: int = 16383, *, seed: object = 0) -> Image.Image:
    """An image of 16-bit pixels of which a camera uses only these values."""
    levels = picture(mode="L", seed=seed).tobytes()
    least, most = min(levels), max(levels)
    values = (low + (level - least) * (high - low) // (most - least) for level in levels)
    return Image.frombytes("I;16", (160, 120), b"".join(map(_SHORT.pack, values)))


SIXTEEN_BIT = Image.frombytes("I;16", (160, 120), struct.pack("<H", 0x8000) * 160 * 120)
ANIMATED = encoded(picture(mode="P"), "GIF", save_all=True, append_images=[picture(mode="P", seed=1)])
CONVERTED = {
    "CMYK JPEG": encoded(picture(mode="CMYK")),
    "RGB PNG": encoded(picture(), "PNG"),
    "gray PNG": encoded(picture(mode="L"), "PNG"),
    "RGBA PNG": encoded(picture(mode="RGBA"), "PNG"),
    "gray and alpha PNG": encoded(picture(mode="LA"), "PNG"),
    "palette PNG": encoded(picture(mode="P"), "PNG"),
    "transparent palette PNG": encoded(picture(mode="P"), "PNG", transparency=0),
    "1-bit PNG": encoded(picture(mode="1"), "PNG"),
    "16-bit PNG": encoded(SIXTEEN_BIT, "PNG"),
    "BMP": encoded(picture(), "BMP"),
    "8-bit gray BMP": encoded(picture(mode="L"), "BMP"),
    "GIF": encoded(picture(mode="P"), "GIF"),
    "animated GIF": ANIMATED,
    "WebP": encoded(picture(), "WEBP"),
    "TIFF": encoded(picture(), "TIFF"),
    "16-bit TIFF": encoded(SIXTEEN_BIT, "TIFF"),
    "JPEG with EXIF rotation": encoded(picture(), exif=EXIF),
}

BAD = {
    "0 bytes": (b"", "ImageEmpty"),
    "HTML page": (b"<!DOCTYPE html><html>404</html>", "ImageUnreadable"),
    "JPEG without its last byte": (CLEAN[:-1], "ImageTruncated"),
    "JPEG without its last 2 bytes": (CLEAN[:-2], "ImageTruncated"),
    "JPEG cut at 60 %": (CLEAN[: len(CLEAN) * 6 // 10], "ImageTruncated"),
    "progressive JPEG cut": (encoded(picture(), progressive=True)[:-2], "ImageTruncated"),
    "PNG cut": (encoded(picture(), "PNG")[:-500], "ImageTruncated"),
    "PNG bomb by its header": (png_header(30_000, 30_000), "ImageTooLarge"),
    "PNG above the pixel limit": (png_header(12_000, 9_000), "ImageTooLarge"),
    "PNG above what other formats may have": (png_header(5_000, 5_000), "ImageTooLarge"),
    "PNG with next to no pixels": (png_header(4_000, 4_000), "ImageTruncated"),
    "float TIFF": (encoded(picture(mode="F"), "TIFF"), "ImageUnsupported"),
    "JPEG header only": (CLEAN[:20], "ImageUnreadable"),
    "animated GIF cut in its second frame": (ANIMATED[: ANIMATED.rindex(b"!\xf9\x04") + 40], "ImageCorrupt"),
    "PNG with a broken checksum": (flipped(encoded(picture(), "PNG"), 60), "ImageCorrupt"),
}
