"""Encode tf.train.Example without TensorFlow.

Invariant: equal features give equal bytes (keys sorted, lists packed as TensorFlow packs them).

message Example { Features features = 1; }      message Features { map<string, Feature> feature = 1; }
message Feature { oneof { BytesList = 1; FloatList = 2; Int64List = 3; } }   each list: repeated value = 1
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

Feature = tuple[int, bytes]
"""The kind of list, and the encoded list."""
_BYTES, _FLOATS, _INTS = 1, 2, 3
_SMALL = 0x80
"""Numbers below it are varints of one byte, as nearly all numbers here."""
_REPEATED = 1 << 12
"""Encoded parts that are kept, because nearly all images have them: class names, the beginnings of features."""


def bytes_feature(values: Sequence[bytes]) -> Feature:
    """A Feature with a BytesList."""
    return _BYTES, b"".join([_field(1, value) for value in values])


def texts_feature(values: Iterable[str]) -> Feature:
    """A Feature with a BytesList, for texts that repeat."""
    return _BYTES, b"".join(map(_text, values))


def float_feature(values: Sequence[float]) -> Feature:
    """A Feature with a FloatList (32 bit)."""
    return _FLOATS, _field(1, struct.pack(f"<{len(values)}f", *values)) if values else b""


def int_feature(values: Sequence[int]) -> Feature:
    """A Feature with an Int64List. Raises ValueError for negative numbers."""
    if not values:
        return _INTS, b""
    small = min(values) >= 0 and max(values) < _SMALL
    return _INTS, _field(1, bytes(values) if small else b"".join([_varint(value) for value in values]))


def encode(features: Mapping[str, Feature]) -> bytes:
    """Serialise an Example from its features by name."""
    # Parts are joined only once, because one of the features is the whole image.
    parts = [b""]
    for name, (kind, values) in sorted(features.items()):
        parts += (_beginning(name, kind, len(values)), values)
    parts[0] = _head(1, sum(map(len, parts)))
    return b"".join(parts)


@lru_cache(_REPEATED)
def _beginning(name: str, kind: int, size: int) -> bytes:
    """What comes before the values of a feature that take `size` bytes."""
    of_list = _head(kind, size)
    of_feature = _field(1, name.encode()) + _head(2, len(of_list) + size) + of_list
    return _head(1, len(of_feature) + size) + of_feature


@lru_cache(_REPEATED)
def _text(value: str) -> bytes:
    return _field(1, value.encode())


def _field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field of a proto."""
    return _head(number, len(payload)) + payload


def _head(number: int, size: int) -> bytes:
    """Tag and length, which come before the bytes of a length-delimited field."""
    return bytes((number << 3 | 2, size)) if size < _SMALL else bytes((number << 3 | 2,)) + _varint(size)


def _varint(value: int) -> bytes:
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value >= _SMALL:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
