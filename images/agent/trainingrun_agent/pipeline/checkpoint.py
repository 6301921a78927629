"""Read names and shapes of the variables in a TensorFlow checkpoint from its index, without TensorFlow.

The index is a sorted table of blocks (LevelDB's format) that maps a variable's name to a BundleEntryProto, and the
empty name to the header. Blocks are not compressed.

Invariant: any input gives variables or IndexUnreadableError, in time and memory proportional to its size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

MAX_BYTES, MAX_NAME, MAX_ENTRY = 16 << 20, 4096, 4096
MAX_VARIABLES = 20_000
"""Names share their beginnings: without this bound, those of 16 MiB could take gigabytes."""
_FOOTER, _TRAILER = 48, 5
_MAGIC = 0xDB4775248B80FB57
_MASK_DELTA = 0xA282EAD8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class IndexUnreadableError(ValueError):
    """The input is not the index of a checkpoint; the text says what is wrong with it."""


@dataclass(frozen=True)
class Index:
    """Shapes of the `variables` by name; the data file has at least `data_bytes` bytes."""

    variables: dict[str, tuple[int, ...]]
    data_bytes: int


def read_index(data: bytes) -> Index:
    """Read `model.ckpt.index`. Raises IndexUnreadableError."""
    try:
        return _read(data)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise IndexUnreadableError("it ends too early or is damaged") from error


def _read(data: bytes) -> Index:
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise IndexUnreadableError("it does not end like one")
    _, at = _handle(data, len(data) - _FOOTER)
    where, _ = _handle(data, at)
    left, end = len(data), 0
    variables: dict[str, tuple[int, ...]] = {}
    for _, value in _entries(_block(data, where)):
        handle, _ = _handle(value, 0)
        left -= handle[1]
        if left < 0:
            raise IndexUnreadableError("its blocks overlap")
        for key, entry in _entries(_block(data, handle)):
            if key:
                if len(variables) == MAX_VARIABLES:
                    raise IndexUnreadableError(f"it names more than {MAX_VARIABLES} variables")
                variables[key.decode()], last = _variable(entry)
                end = max(end, last)
    return Index(variables, end)


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    whole = data[offset : offset + size + _TRAILER]
    if len(whole) != size + _TRAILER:
        raise IndexUnreadableError("it ends too early")
    body, kind, crc = whole[:size], whole[size], struct.unpack("<I", whole[-4:])[0]
    if kind != 0:
        raise IndexUnreadableError("its blocks are compressed")
    rotated = (crc - _MASK_DELTA) & 0xFFFFFFFF
    if google_crc32c.value(whole[: size + 1]) != (rotated << 15 | rotated >> 17) & 0xFFFFFFFF:
        raise IndexUnreadableError("a checksum is wrong")
    return body


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; each key is stored without the beginning that it shares with the key before."""
    restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        value = block[at + own : at + own + length]
        at += own + length
        if at > end or len(key) > MAX_NAME or length > MAX_ENTRY:
            raise IndexUnreadableError("an entry ends outside of its block, or is or has a name too long")
        yield key, value


def _variable(entry: bytes) -> tuple[tuple[int, ...], int]:
    """Shape of a variable, and where its bytes end in the data file."""
    fields = list(_fields(entry))
    shapes = [value for number, value in fields if number == 2 and isinstance(value, bytes)]
    numbers = {number: value for number, value in fields if isinstance(value, int)}
    dims = [value for shape in shapes for number, value in _fields(shape) if number == 2 and isinstance(value, bytes)]
    sizes = (next((value for number, value in _fields(dim) if number == 1), 0) for dim in dims)
    shape = tuple(size for size in sizes if isinstance(size, int))
    return shape, numbers.get(4, 0) + numbers.get(5, 0)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer; length-delimited ones are bytes, others are numbers."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise IndexUnreadableError("an entry is no protocol buffer")
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexUnreadableError("a number is too long")
