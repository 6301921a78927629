"""A job, which is to check the images of one shard and to write it, and what a worker is given for it.

Invariant: everything here can be pickled. Images are named by their place, an index into the job's files, so that no
path is sent twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.source.fetch import Unread
from trainingrun_agent.prep.source.image_labels import ImageLabels, UnreadLabels


class ImageFile(NamedTuple):
    """An image and its labels, each with a version that changes with its content.

    `labels_version` is empty if there are no rows of a previous data set to compare it with.
    """

    path: str
    version: str
    labels_path: str
    labels_version: str


@dataclass(frozen=True)
class ShardJob:
    """A shard to write: `name` is unique, `format` is that of the labels, `files` are in the order of their paths.

    `previous_rows` are files of rows (rows.py) about these images, from the previous data set. `same_shard` is True if
    they can only be those of this shard, because the previous split had as many shards.
    """

    split: Split
    number: int
    name: str
    format: str
    files: list[ImageFile]
    previous_rows: tuple[Path, ...] = ()
    same_shard: bool = False


@dataclass(frozen=True)
class Needs:
    """What a worker needs for a job: images by place, previous shards by their index in `previous_rows`."""

    images: list[int]
    shards: list[int]


class FetchedImage(NamedTuple):
    """An image of a job and its labels, as read from the bucket, or why they could not be read."""

    place: int
    image: bytes | UnusableError
    labels: ImageLabels


class LocalImage(NamedTuple):
    """An image of a job in a local folder, which the worker reads (local_reading.py), or why it must not."""

    place: int
    image: Unread | UnusableError
    labels: UnreadLabels


SentImage = FetchedImage | LocalImage


class Worker(Protocol):
    """Works on one job after the other, each in this order: `open`, `begin`, `feed` as often as needed, `finish`."""

    def open(self, job: ShardJob) -> OpenJob:
        """Compare a job with its previous rows."""

    def close(self) -> None:
        """End the worker. What it was working on is left as it is."""


class OpenJob(Protocol):
    """A job that was compared with its previous rows."""

    @property
    def needs(self) -> Needs:
        """What has to be fetched for it."""

    def begin(self, previous_shards: Mapping[int, Path]) -> ShardWriting:
        """Start writing; `previous_shards` are the ones needed, downloaded. Raises DiskFull."""


class ShardWriting(Protocol):
    """A shard that is being written, until the end of a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def feed(self, images: Sequence[SentImage]) -> None:
        """Check and write the next images, in the order of `Needs.images`. Raises DiskFull.

        Of local images, it raises what storage raises, too.
        """

    def drain(self) -> None:
        """Wait until all images fed so far are checked. Raises DiskFull."""

    def finish(self) -> ShardResult:
        """Complete the shard, after the last image that was needed. Raises DiskFull."""
