"""The main process' side of a shard: fetches what a maker needs, and survives its death.

Invariant: at most BOUNDS of each maker are in memory, whatever the number and size of the images.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from trainingrun_agent.log import logger
from trainingrun_agent.ordered import Bounds, ordered_groups
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.image.check import ImageLabels
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.image_files import IMAGE_CRASHES_DECODER
from trainingrun_agent.prep.sharding.job import Fetched, ShardJob, ShardResult
from trainingrun_agent.prep.sharding.worker_process import Maker, WorkerDiedError
from trainingrun_agent.prep.source import fetch
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.storage.base import ObjectStore

READS_AT_ONCE = 16
READ_IMAGES = 4
"""In one read, when there is no hurry any more: a maker waits for the first ones, and each hand-over costs."""
BATCH = Bounds(max_items=24, max_cost=4 << 20)
"""Sent to a maker at once, of what is there: reads and bytes."""
BOUNDS = Bounds(max_items=96, max_cost=20 << 20)
MAX_DEATHS = 20


Moved = Callable[[int, int], None]
"""Told of images and bytes that are done, negative when they have to be done again."""


class GoneError(Exception):
    """A shard of an earlier data set cannot be had any more."""


@dataclass(frozen=True)
class Task:
    """A shard to make from `pairs`, in the order of the job's files.

    `known` is the result already, when nothing changed. `labels` reads those of one pair, it may raise UnusableError;
    `prefix` is the source's key. `earlier` downloads a shard of an earlier data set, it may raise GoneError.
    """

    job: ShardJob
    known: ShardResult | None
    pairs: list[Pair]
    store: ObjectStore
    prefix: str
    labels: Callable[[Pair], ImageLabels]
    earlier: Callable[[int], Path]


class Feeder:
    """Makes shards with one maker; `new_maker` makes another one when it has died."""

    def __init__(
        self,
        new_maker: Callable[[], Maker],
        pool: ThreadPoolExecutor,
        stop: threading.Event,
        moved: Moved,
    ) -> None:
        self._new_maker, self._pool, self._stop, self._moved = new_maker, pool, stop, moved
        self._maker: Maker | None = None

    def make(self, task: Task) -> ShardResult:
        """Raises what storage raises, DiskFull, Interrupted."""
        if task.known is not None:
            self._moved(len(task.pairs), sum(map(_size, task.pairs)))
            return task.known
        fatal: dict[int, UnusableError] = {}
        careful = False
        for _ in range(MAX_DEATHS):
            attempt = _Attempt(task, self._pool, self._stop, self._moved, fatal, careful=careful)
            try:
                self._maker = self._maker or self._new_maker()
                return attempt.run(self._maker)
            except WorkerDiedError:
                logger.warning("a worker died at shard %s, making it again", task.job.name)
                attempt.take_back()
                self.close()
                careful = True
            except GoneError as error:
                logger.warning("checking the images of shard %s again: %s", task.job.name, error)
                attempt.take_back()
                task = replace(task, job=replace(task.job, rows=()))
        raise RuntimeError(f"workers died {MAX_DEATHS} times at shard {task.job.name}")

    def close(self) -> None:
        """Let go of the maker."""
        if self._maker is not None:
            self._maker.close()
            self._maker = None


class _Attempt:
    """One try; when `careful`, images are given one at a time, and the one that kills the maker becomes `fatal`."""

    def __init__(
        self,
        task: Task,
        pool: ThreadPoolExecutor,
        stop: threading.Event,
        moved: Moved,
        fatal: dict[int, UnusableError],
        *,
        careful: bool,
    ) -> None:
        self._task, self._pool, self._stop, self._moved = task, pool, stop, moved
        self._fatal, self._careful = fatal, careful
        self._done = (0, 0)

    def run(self, maker: Maker) -> ShardResult:
        """Make the shard."""
        task = self._task
        needs = maker.open(task.job)
        wanted = set(needs.files)
        self._tell(place for place in range(len(task.pairs)) if place not in wanted)
        earlier = {place: task.earlier(place) for place in needs.shards}
        try:
            maker.begin(earlier)
            reads = self._reads(needs.files)
            for batch in ordered_groups(
                self._fetch, reads, cost=self._cost, bounds=BOUNDS, group=BATCH, stop=self._stop, pool=self._pool
            ):
                items = [item for read in batch for item in read]
                self._feed(maker, items)
                self._tell(item.place for item in items)
            return maker.finish()
        finally:
            for path in earlier.values():
                path.unlink(missing_ok=True)

    def take_back(self) -> None:
        """What was told as done is to be done again."""
        images, size = self._done
        self._moved(-images, -size)

    def _tell(self, places: Iterable[int]) -> None:
        sizes = [_size(self._task.pairs[place]) for place in places]
        self._done = (self._done[0] + len(sizes), self._done[1] + sum(sizes))
        self._moved(len(sizes), sum(sizes))

    def _feed(self, maker: Maker, items: list[Fetched]) -> None:
        if not self._careful:
            maker.feed(items)
            return
        for item in items:
            try:
                maker.feed([item])
                maker.settle()
            except WorkerDiedError:
                self._fatal[item.place] = UnusableError(IMAGE_CRASHES_DECODER)
                raise

    def _reads(self, places: list[int]) -> Iterator[list[int]]:
        """One image for every thread at first, then two, and so on."""
        read: list[int] = []
        number = 0
        for place in places:
            full = len(read) >= min(READ_IMAGES, 1 + number // READS_AT_ONCE)
            if read and (full or self._cost([*read, place]) > BATCH.max_cost):
                yield read
                read = []
                number += 1
            read.append(place)
        if read:
            yield read

    def _cost(self, read: list[int]) -> int:
        return sum(_size(self._task.pairs[place]) for place in read)

    def _fetch(self, read: list[int]) -> list[Fetched]:
        return [self._one(place) for place in read]

    def _one(self, place: int) -> Fetched:
        task, pair = self._task, self._task.pairs[place]
        labels: ImageLabels
        try:
            labels = task.labels(pair)
        except UnusableError as problem:
            labels = problem
        if place in self._fatal:
            return Fetched(place, self._fatal[place], labels)
        try:
            image = fetch.read(task.store, task.prefix, pair.image, limit=images.MAX_BYTES)
        except UnusableError as problem:
            return Fetched(place, problem, labels)
        return Fetched(place, image, labels)


def _size(pair: Pair) -> int:
    return min(pair.image.size, images.MAX_BYTES) + pair.annotation.size
