"""What main process and workers say to each other about a shard. Everything here can be pickled.

Invariant: files are named by their place in the job, so that no name is sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from trainingrun_agent.prep.annotation import UnusableError
from trainingrun_agent.prep.check import Labels
from trainingrun_agent.prep.findings import Findings, Split
from trainingrun_agent.prep.tally import Tally

CRASHED = "ImageCrashesDecoder"
"""Code of the finding about an image that brought a worker down."""


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
    labels: Labels


@dataclass(frozen=True)
class LocalFile:
    """A finished file on scratch disk; `size` in bytes, `images` in it."""

    path: Path
    size: int
    sha256: str
    images: int


class Print(NamedTuple):
    """What tells an image from others: 16 bytes of its SHA-256, its look (images.look_of), 8 bytes for its labels."""

    place: int
    sha256: bytes
    look: bytes
    labels: bytes


@dataclass
class ShardResult:
    """A shard made. `shard` is None without a record in it, and when its records are those of before: `same_records`.

    `rows` is None too when everything was as before.
    """

    tally: Tally
    findings: Findings
    csv: Path
    same_records: bool = False
    shard: LocalFile | None = None
    rows: LocalFile | None = None
    prints: list[Print] = field(default_factory=list)
