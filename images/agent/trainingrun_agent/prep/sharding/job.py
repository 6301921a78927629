"""What main process and workers say to each other about a shard. Everything here can be pickled.

Invariant: files are named by their place in the job, so that no name is sent twice.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from trainingrun_agent.prep.image.check import ImageLabels
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.findings import Findings, Split
from trainingrun_agent.prep.statistics.totals import Totals


class ImageFile(NamedTuple):
    """An image and its labels; the versions change with what they are about.

    That of the labels is empty where nothing is remembered that it could be compared with.
    """

    path: str
    version: str
    labels_path: str
    labels_version: str


@dataclass(frozen=True)
class ShardJob:
    """A shard to make: `name` is unique, `format` that of the labels, `files` in the order of their paths.

    `rows` are the files of rows (rows.py) that an earlier data set has of these images, if there is one; `whole` when
    they can only be those of this very shard.
    """

    split: Split
    number: int
    name: str
    format: str
    files: list[ImageFile]
    rows: tuple[Path, ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class Needs:
    """What a worker has to be given: images by their places in `files`, earlier shards by theirs in `rows`."""

    files: list[int]
    shards: list[int]


@dataclass(frozen=True)
class Fetched:
    """A file of the job, read."""

    place: int
    image: bytes | UnusableError
    labels: ImageLabels


@dataclass(frozen=True)
class LocalFile:
    """A finished file on scratch disk; `size` in bytes, `images` in it."""

    path: Path
    size: int
    sha256: str
    images: int


class Fingerprint(NamedTuple):
    """What tells an image from others: 16 bytes of its SHA-256, its look (images.look_of), 8 bytes for its labels."""

    place: int
    sha256: bytes
    look: bytes
    labels: bytes


class Fingerprints:
    """Those of a shard's images, packed: there is one of every image, and hardly any is ever looked at."""

    _ONE = Struct(">I16s?16s8s")
    _SHA256 = Struct(">4x16s25x")

    def __init__(self, packed: bytes = b"") -> None:
        if len(packed) % self._ONE.size:
            raise ValueError(f"{len(packed)} bytes are no prints")
        self.packed = bytearray(packed)

    def append(self, one: Fingerprint) -> None:
        """Add one."""
        self.packed += self._ONE.pack(one.place, one.sha256, bool(one.look), one.look, one.labels)

    def hashes(self) -> Iterator[bytes]:
        """What each has of its image's SHA-256."""
        return (sha256 for (sha256,) in self._SHA256.iter_unpack(self.packed))

    def select(self, hashes: Container[bytes]) -> Iterator[Fingerprint]:
        """Those with one of these."""
        for place, sha256, looks, look, labels in self._ONE.iter_unpack(self.packed):
            if sha256 in hashes:
                yield Fingerprint(place, sha256, look if looks else b"", labels)


@dataclass
class ShardResult:
    """A shard made. `shard` is None without a record in it, and when its records are those of before: `same_records`.

    `rows` is None too when everything was as before.
    """

    totals: Totals
    findings: Findings
    csv: Path
    same_records: bool = False
    shard: LocalFile | None = None
    rows: LocalFile | None = None
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
