"""The main process's side of a worker: fetches what a job needs, and replaces the worker when it dies.

Invariant: at most BOUNDS are in memory per worker, whatever the number and size of the images.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from trainingrun_agent.log import logger
from trainingrun_agent.ordered import Bounds, ordered_groups
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.image_files import IMAGE_CRASHES_DECODER
from trainingrun_agent.prep.sharding.job import FetchedImage, LocalImage, SentImage, ShardJob, ShardWriting, Worker
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.sharding.worker_process import WorkerDiedError
from trainingrun_agent.prep.source import fetch
from trainingrun_agent.prep.source.fetch import Unread
from trainingrun_agent.prep.source.image_labels import ImageLabels, UnreadLabels
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.stopping import raise_if_stopped

READS_AT_ONCE = 16
READ_IMAGES = 4
"""Images that one thread fetches in a row: one for each thread at first, because the worker waits for them, then two,
up to so many, which cost less per image."""
LOCAL_IMAGES = 32
"""Local images that a worker is given at once."""
BATCH = Bounds(max_items=24, max_cost=4 << 20)
"""Reads and bytes sent to a worker at once, of those that are complete."""
BOUNDS = Bounds(max_items=96, max_cost=20 << 20)
"""Reads and bytes fetched ahead."""
MAX_DEATHS = 20


@dataclass(frozen=True)
class Checked:
    """Numbers of images, of bytes that were read for them, and of images that were taken over without reading them."""

    images: int = 0
    size: int = 0
    reused: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(self.images + other.images, self.size + other.size, self.reused + other.reused)

    def __neg__(self) -> Checked:
        return Checked(-self.images, -self.size, -self.reused)


OnChecked = Callable[[Checked], None]
"""Called with what was checked; the numbers are negative if it is to be checked again."""


class PreviousShardGoneError(Exception):
    """A shard of the previous data set cannot be downloaded any more."""


@dataclass(frozen=True)
class ShardTask:
    """A job, with access to what it needs. `pairs` are in the order of the job's files.

    `known_result` is the result if nothing has changed. `images` is where they are. `read_labels` may raise
    UnusableError; `fetch_shard` downloads a previous shard by its index, and may raise PreviousShardGoneError.
    `local_labels` is given if images and labels are local files, which the worker reads.
    """

    job: ShardJob
    known_result: ShardResult | None
    pairs: list[Pair]
    images: Place
    read_labels: Callable[[Pair], ImageLabels]
    fetch_shard: Callable[[int], Path]
    local_labels: Callable[[Pair], UnreadLabels] | None = None


class Supervisor:
    """Runs tasks on one worker, and starts another worker when it dies."""

    def __init__(
        self,
        start_worker: Callable[[], Worker],
        reads: ThreadPoolExecutor,
        stop: threading.Event,
        on_checked: OnChecked,
    ) -> None:
        self._start_worker, self._reads, self._stop, self._on_checked = start_worker, reads, stop, on_checked
        self._worker: Worker | None = None

    def run(self, task: ShardTask) -> ShardResult:
        """Run a task. Raises what storage raises, DiskFull, Interrupted."""
        if task.known_result is not None:
            self._on_checked(Checked(images=len(task.pairs), reused=len(task.pairs)))
            return task.known_result
        crashing: dict[int, UnusableError] = {}
        careful = False
        for _ in range(MAX_DEATHS):
            attempt = _Attempt(task, self._reads, self._stop, self._on_checked, crashing, careful=careful)
            try:
                self._worker = self._worker or self._start_worker()
                return attempt.run(self._worker)
            except WorkerDiedError:
                logger.warning("a worker process died at shard %s; trying again", task.job.name)
                attempt.take_back()
                self.close()
                careful = True
            except PreviousShardGoneError as error:
                logger.warning("checking all images of shard %s again: %s", task.job.name, error)
                attempt.take_back()
                task = replace(task, job=replace(task.job, previous_rows=()))
        raise RuntimeError(f"workers died {MAX_DEATHS} times at shard {task.job.name}")

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class _Attempt:
    """One attempt at a task.

    If `careful`, the worker gets one image at a time, so that the image at which it dies is known. That image goes into
    `crashing`, and the next attempt gives the worker this error in its place.
    """

    def __init__(
        self,
        task: ShardTask,
        reads: ThreadPoolExecutor,
        stop: threading.Event,
        on_checked: OnChecked,
        crashing: dict[int, UnusableError],
        *,
        careful: bool,
    ) -> None:
        self._task, self._reads, self._stop, self._on_checked = task, reads, stop, on_checked
        self._crashing, self._careful = crashing, careful
        self._checked = Checked()

    def run(self, worker: Worker) -> ShardResult:
        """Give the worker the job and what it needs."""
        task = self._task
        opened = worker.open(task.job)
        reused = len(task.pairs) - len(opened.needs.images)
        self._count(Checked(images=reused, reused=reused))
        previous_shards = {index: task.fetch_shard(index) for index in opened.needs.shards}
        try:
            with opened.begin(previous_shards) as writer:
                self._feed(writer, opened.needs.images)
                return writer.finish()
        finally:
            for path in previous_shards.values():
                path.unlink(missing_ok=True)

    def take_back(self) -> None:
        """Report everything that was counted as to be checked again."""
        self._on_checked(-self._checked)

    def _feed(self, writer: ShardWriting, places: list[int]) -> None:
        """Give the worker all images in order."""
        for sent, size in self._named(places) if self._task.local_labels else self._fetched(places):
            if self._careful:
                self._feed_carefully(writer, sent)
            else:
                writer.feed(sent)
            self._count(Checked(images=len(sent), size=size))

    def _fetched(self, places: list[int]) -> Iterator[tuple[Sequence[SentImage], int]]:
        """Fetch images in several threads; each time, those that are complete, and their size."""
        batches = ordered_groups(
            self._fetch_all,
            self._groups(places, lambda number: min(READ_IMAGES, 1 + number // READS_AT_ONCE)),
            cost=attrgetter("size"),
            bounds=BOUNDS,
            group=BATCH,
            stop=self._stop,
            pool=self._reads,
        )
        for batch in batches:
            yield [image for images, _ in batch for image in images], sum([size for _, size in batch])

    def _named(self, places: list[int]) -> Iterator[tuple[Sequence[SentImage], int]]:
        """Local images, which the worker reads."""
        for group in self._groups(places, lambda _: LOCAL_IMAGES):
            raise_if_stopped(self._stop)
            yield [self._local(place) for place in group.places], group.size

    def _feed_carefully(self, writer: ShardWriting, sent: Sequence[SentImage]) -> None:
        for image in sent:
            try:
                writer.feed([image])
                writer.drain()
            except WorkerDiedError:
                self._crashing[image.place] = UnusableError(IMAGE_CRASHES_DECODER)
                raise

    def _groups(self, places: list[int], images_of: Callable[[int], int]) -> Iterator[_Group]:
        """What is read in a row: so many images by the number of the group, and not too many bytes."""
        pairs = self._task.pairs
        group = _Group([], 0)
        number = 0
        for place in places:
            size = _size(pairs[place])
            full = len(group.places) >= images_of(number)
            if group.places and (full or group.size + size > BATCH.max_cost):
                yield group
                group = _Group([], 0)
                number += 1
            group = _Group([*group.places, place], group.size + size)
        if group.places:
            yield group

    def _fetch_all(self, group: _Group) -> tuple[list[FetchedImage], int]:
        return [self._fetch(place) for place in group.places], group.size

    def _fetch(self, place: int) -> FetchedImage:
        task, pair = self._task, self._task.pairs[place]
        labels: ImageLabels
        try:
            labels = task.read_labels(pair)
        except UnusableError as problem:
            labels = problem
        if place in self._crashing:
            return FetchedImage(place, self._crashing[place], labels)
        try:
            image = fetch.read(task.images, pair.image, limit=images.MAX_BYTES)
        except UnusableError as problem:
            return FetchedImage(place, problem, labels)
        return FetchedImage(place, image, labels)

    def _local(self, place: int) -> LocalImage:
        task, pair = self._task, self._task.pairs[place]
        assert task.local_labels is not None
        unread = Unread(task.images, pair.image, images.MAX_BYTES)
        return LocalImage(place, self._crashing.get(place, unread), task.local_labels(pair))

    def _count(self, checked: Checked) -> None:
        self._checked += checked
        self._on_checked(checked)


class _Group(NamedTuple):
    """The places of images that are fetched in a row, and the size of the images and their labels in bytes."""

    places: list[int]
    size: int


def _size(pair: Pair) -> int:
    return min(pair.image.size, images.MAX_BYTES) + pair.annotation.size
