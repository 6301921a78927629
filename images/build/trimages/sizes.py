"""Measures images. Invariant: the compressed size is measured, and is what a registry would store."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import BuildError

_Convert = Callable[[bytes], bytes]
_Flush = Callable[[], bytes]
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_MAX_JSON = 4 << 20


@dataclass(frozen=True)
class Size:
    """Number of layers, and the bytes of all layers, unpacked and compressed."""

    layers: int
    unpacked: int
    compressed: int


def measure(archive: Path) -> Size:
    """Measure the image in an OCI or Docker archive; raises BuildError for any other file."""
    with tarfile.open(archive) as tar:
        blobs = [_measure_layer(_open(tar, name)) for name in _layers(tar, archive)]
    return Size(len(blobs), sum(raw for raw, _ in blobs), sum(packed for _, packed in blobs))


def _layers(tar: tarfile.TarFile, archive: Path) -> list[str]:
    names = set(tar.getnames())
    if "manifest.json" in names:
        return [str(layer) for layer in _json(tar, "manifest.json")[0]["Layers"]]
    if "index.json" not in names:
        raise BuildError(
            f"{archive} is not an image archive (neither index.json nor manifest.json): delete it and build again"
        )
    manifest = _json(tar, _blob(_json(tar, "index.json")["manifests"][0]["digest"]))
    return [_blob(layer["digest"]) for layer in manifest["layers"]]


def _measure_layer(layer: IO[bytes]) -> tuple[int, int]:
    """(uncompressed bytes, compressed bytes) of one layer; an uncompressed layer is compressed to measure it."""
    compressed = layer.read(len(_GZIP)) == _GZIP
    layer.seek(0)
    convert, flush = _decoder() if compressed else _encoder()
    stored = converted = 0
    while chunk := layer.read(_CHUNK):
        stored += len(chunk)
        converted += len(convert(chunk))
    converted += len(flush())
    return (converted, stored) if compressed else (stored, converted)


def _decoder() -> tuple[_Convert, _Flush]:
    inflate = zlib.decompressobj(wbits=31)
    return inflate.decompress, inflate.flush


def _encoder() -> tuple[_Convert, _Flush]:
    deflate = zlib.compressobj(6)
    return deflate.compress, deflate.flush


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/", 1)


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    content = tar.extractfile(name)
    if content is None:
        raise BuildError(f"{tar.name!r}: {name} is not a regular file: delete the archive and build again")
    return content


def _json(tar: tarfile.TarFile, name: str) -> Any:
    return json.loads(_open(tar, name).read(_MAX_JSON))
