"""Encoder of tf.train.Example, without TensorFlow.

Invariant: equal features give equal bytes (keys sorted, lists packed as TensorFlow packs them).

message Example { Features features = 1; }      message Features { map<string, Feature> feature = 1; }
message Feature { oneof { BytesList = 1; FloatList = 2; Int64List = 3; } }   each list: repeated value = 1
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache

_BYTES, _FLOATS, _INTS = 1, 2, 3
_SMALL = tuple(bytes((value,)) for value in range(0x80))
"""Varints of one byte, which nearly all are."""


def bytes_feature(values: Sequence[bytes]) -> bytes:
    """A Feature with a BytesList."""
    entries = {value: _field(1, value) for value in set(values)}  # class names repeat
    return _field(_BYTES, b"".join([entries[value] for value in values]))


def float_feature(values: Sequence[float]) -> bytes:
    """A Feature with a FloatList (32 bit)."""
    packed = struct.pack(f"<{len(values)}f", *values)
    return _field(_FLOATS, _field(1, packed) if values else b"")


def int_feature(values: Sequence[int]) -> bytes:
    """A Feature with an Int64List of numbers that are not negative."""
    packed = b"".join([_varint(value) for value in values])
    return _field(_INTS, _field(1, packed) if values else b"")


def encode(features: Mapping[str, bytes]) -> bytes:
    """Serialise an Example from its features by name."""
    entries = [_field(1, _key(name) + _field(2, feature)) for name, feature in sorted(features.items())]
    return _field(1, b"".join(entries))


@cache
def _key(name: str) -> bytes:
    return _field(1, name.encode())


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return _SMALL[number << 3 | 2] + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    if 0 <= value < len(_SMALL):
        return _SMALL[value]
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
