"""Generate checkpoints as TensorFlow writes them, and archives in the layout of the model zoo."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Iterable, Mapping

import google_crc32c

INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
Shapes = Mapping[str, tuple[int, ...]]
SSD_INCEPTION: Shapes = {
    "BoxPredictor_0/ClassPredictor/biases": (273,),
    "FeatureExtractor/InceptionV2/Conv2d_1a_7x7/depthwise_weights": (7, 7, 3, 8),
    "FeatureExtractor/InceptionV2/Conv2d_1a_7x7/pointwise_weights": (1, 1, 24, 64),
    "global_step": (),
}
MOBILENET_WIDE: Shapes = {"FeatureExtractor/MobilenetV1/Conv2d_0/weights": (3, 3, 3, 32)}
MOBILENET_NARROW: Shapes = {"FeatureExtractor/MobilenetV1/Conv2d_0/weights": (3, 3, 3, 8)}
KEYS_PER_BLOCK = 3


def index_of(variables: Shapes) -> tuple[bytes, bytes]:
    """`model.ckpt.index` for float32 variables of these shapes, and a data file of the length that it states."""
    entries, offset = [(b"", _number(1, 1) + _message(3, _number(1, 1)))], 0
    for name, shape in sorted(variables.items()):
        size = 4
        for dim in shape:
            size *= dim
        dims = b"".join(_message(2, _number(1, dim)) for dim in shape)
        entry = _number(1, 1) + _message(2, dims) + _number(4, offset) + _number(5, size) + b"\x35" + b"\0\0\0\0"
        entries.append((name.encode(), entry))
        offset += size
    return table(entries), bytes(offset)


def table(entries: list[tuple[bytes, bytes]], *, named: int = 1) -> bytes:
    """A LevelDB table whose index lists each block `named` times."""
    out, handles = b"", []
    for at in range(0, len(entries), KEYS_PER_BLOCK):
        group = entries[at : at + KEYS_PER_BLOCK]
        handle, out = _append(out, block(group))
        handles.append((group[-1][0] + b"~", handle))
    meta, out = _append(out, block([]))
    index, out = _append(out, block(handles * named))
    return out + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def table_of_one_block(entries: bytes) -> bytes:
    """A LevelDB table with one block of these entries."""
    handle, out = _append(b"", entries + struct.pack("<II", 0, 1))
    meta, out = _append(out, block([]))
    index, out = _append(out, block([(b"~", handle)]))
    return out + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def block(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB block; each key is stored without the prefix that it shares with the previous one."""
    out, previous = b"", b""
    for key, value in entries:
        shared = next(
            (n for n, (a, b) in enumerate(zip(key, previous, strict=False)) if a != b), min(len(key), len(previous))
        )
        out += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        previous = key
    return out + struct.pack("<II", 0, 1)


def archive(
    files: Mapping[str, bytes], *, folder: str = "ssd_inception_v2_coco_2018_01_28", mode: str = "w:gz"
) -> bytes:
    """A tar archive with these files in one folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def zoo_archive(variables: Shapes = SSD_INCEPTION) -> bytes:
    """An archive like those of the model zoo: a checkpoint, and files that training ignores."""
    index, data = index_of(variables)
    extra = {"frozen_inference_graph.pb": b"graph", "model.ckpt.meta": b"meta", "pipeline.config": b"model { ssd { } }"}
    return archive({INDEX: index, "checkpoint": b'model_checkpoint_path: "model.ckpt"\n', DATA: data, **extra})


def _append(out: bytes, body: bytes, *, kind: bytes = b"\0") -> tuple[bytes, bytes]:
    crc = google_crc32c.value(body + kind)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return _varint(len(out)) + _varint(len(body)), out + body + kind + struct.pack("<I", masked)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
