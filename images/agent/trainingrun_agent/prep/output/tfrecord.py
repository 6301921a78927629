"""Frames of TFRecord files: the length, its masked CRC-32C, the data, their masked CRC-32C.

Invariant: TensorFlow can read every frame, and notices an incomplete one.
"""

from __future__ import annotations

import struct

import google_crc32c

_MASK_DELTA = 0xA282EAD8


def frame(data: bytes) -> bytes:
    """The record with its length and checksums, as TFRecord files hold it."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + _MASK_DELTA) & 0xFFFFFFFF)
