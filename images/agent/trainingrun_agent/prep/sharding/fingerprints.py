"""Fingerprints of images, by which duplicates are found.

Invariant: they are kept packed. There is one per image but only a few are ever compared; as objects, those of 100,000
images took 90 MB.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from struct import Struct
from typing import NamedTuple


class Fingerprint(NamedTuple):
    """16 bytes of the image's SHA-256, its look (images.look_of), an 8-byte digest of its boxes.

    `place` is the index of the image in its shard's job.
    """

    place: int
    sha256: bytes
    look: bytes
    labels: bytes


class Fingerprints:
    """The fingerprints of a shard's images."""

    _ONE = Struct(">I16s?16s8s")
    _SHA256 = Struct(">4x16s25x")

    def __init__(self, packed: bytes = b"") -> None:
        if len(packed) % self._ONE.size:
            raise ValueError(f"{len(packed)} bytes cannot be a list of fingerprints")
        self.packed = bytearray(packed)

    def append(self, one: Fingerprint) -> None:
        """Add a fingerprint."""
        self.packed += self._ONE.pack(one.place, one.sha256, bool(one.look), one.look, one.labels)

    def hashes(self) -> Iterator[bytes]:
        """The first 16 bytes of each image's SHA-256."""
        return (sha256 for (sha256,) in self._SHA256.iter_unpack(self.packed))

    def select(self, hashes: Container[bytes]) -> Iterator[Fingerprint]:
        """The fingerprints with one of these hashes."""
        for place, sha256, looks, look, labels in self._ONE.iter_unpack(self.packed):
            if sha256 in hashes:
                yield Fingerprint(place, sha256, look if looks else b"", labels)
