"""All shards of a data set: made or taken over, uploaded, and counted.

Invariant: results are added up in the order of splits and shards, so that nothing depends on which was done first.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.log import logger
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.model.findings import Findings, Split
from trainingrun_agent.prep.output.labels_csv import write_header
from trainingrun_agent.prep.sharding import rows as row_files
from trainingrun_agent.prep.sharding import shard_summary
from trainingrun_agent.prep.sharding.job import Fingerprints, ImageFile, ShardJob, ShardResult
from trainingrun_agent.prep.sharding.pool import make_all, workers_for
from trainingrun_agent.prep.sharding.supervisor import GoneError, Task
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.prep.split.shards import disk_full
from trainingrun_agent.prep.store.previous import GONE, Earlier, Made
from trainingrun_agent.prep.store.publish import Home, Uploads, Writing
from trainingrun_agent.progress import Progress

_Number = tuple[Split, int]


@dataclass(frozen=True)
class Built:
    """What there is when everything is checked and uploaded; fingerprints are by shard, beside its pairs."""

    splits: list[DatasetSplit]
    shards: dict[Split, list[Made]]
    csv: list[Path]
    fingerprints: Mapping[Split, list[tuple[list[Pair], Fingerprints]]]


class _Meter:
    """Images and bytes checked, for progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._images, self._bytes = 0, 0
        self._lock = threading.Lock()
        self.moved(0, 0)

    def moved(self, images: int, size: int) -> None:
        """Called from several threads."""
        with self._lock:
            self._images += images
            self._bytes += size
            self._progress.update(
                phase="checking", unit="images", done=self._images, total=self._total, bytes=self._bytes
            )


def build(
    splits: list[DatasetSplit],
    home: Home,
    *,
    classes: tuple[str, ...],
    max_image_side: int,
    earlier: Earlier,
    folder: Path,
    findings: Findings,
    writing: Writing,
) -> Built:
    """Raises what storage raises, DiskFull, Interrupted."""
    numbers: list[_Number] = [(split.name, number) for split in splits for number in range(len(split.shards))]
    images = sum(split.images for split in splits)
    meter = _Meter(writing.progress, images)
    with closing(Uploads(home, writing.progress)) as uploads:
        making = _Making({split.name: split for split in splits}, earlier, folder, uploads)
        make_all(
            [partial(making.task, *number) for number in numbers],
            checker=Checker(classes, max_image_side),
            network_input=splits[0].totals.network_input,
            scratch=folder,
            workers=workers_for(images),
            stop=writing.stop,
            moved=meter.moved,
            done=making.done,
        )
        made = uploads.wait([making.made[number] for number in numbers], writing.stop)
    shards: dict[Split, list[Made]] = {split.name: [] for split in splits}
    for (split, _), one in zip(numbers, made, strict=True):
        shards[split].append(one)
    return _added_up(splits, [making.results[number] for number in numbers], shards, folder, findings)


class _Making:
    """What is known while shards are made, by several threads at once."""

    def __init__(
        self,
        splits: Mapping[Split, DatasetSplit],
        earlier: Earlier,
        folder: Path,
        uploads: Uploads,
    ) -> None:
        self._splits, self._earlier, self._folder = splits, earlier, folder
        self._uploads = uploads
        self._taken: dict[_Number, list[Made]] = {}
        self.results: dict[_Number, ShardResult] = {}
        self.made: dict[_Number, Future[Made]] = {}

    def task(self, split: Split, number: int) -> Task:
        """What a maker has to do for a shard."""
        dataset_split = self._splits[split]
        pairs, count = dataset_split.shards[number], len(dataset_split.shards)
        name = f"{split}-{number:05d}"
        taken, rows = self._rows(name, split, number, count)
        self._taken[split, number] = taken
        labels = dataset_split.source.labels
        job = ShardJob(
            split,
            number,
            name,
            dataset_split.source.format,
            [_file(pair, labels.version(pair) if rows else pair.annotation.etag) for pair in pairs],
            rows=rows,
            whole=self._earlier.whole(split, count),
        )
        return Task(
            job,
            self._known(job),
            pairs,
            dataset_split.source.store,
            dataset_split.source.prefix,
            labels.read,
            lambda place: self._shard(name, taken, place),
        )

    def done(self, task: Task, result: ShardResult) -> None:
        """Upload it, or take over what is there."""
        job = task.job
        number = (job.split, job.number)
        self.results[number] = result
        for path in job.rows:
            path.unlink()
        if result.rows is None:
            self.made[number] = Future()
            self.made[number].set_result(self._taken[number][0])
        else:
            same = self._taken[number][0].shard if result.same_records else None
            self.made[number] = self._uploads.start(job.split, result.shard, result.rows, same=same)

    def _known(self, job: ShardJob) -> ShardResult | None:
        """The result of a shard of which nothing changed."""
        if not job.whole or len(job.rows) != 1:
            return None
        try:
            network_input = self._splits[job.split].totals.network_input
            return shard_summary.recall(job.rows[0], job, network_input, self._folder / f"{job.name}.csv")
        except row_files.UNUSABLE as error:
            logger.warning("what is remembered of shard %s is of no use: %s", job.name, error)
            return None

    def _rows(self, name: str, split: Split, number: int, count: int) -> tuple[list[Made], tuple[Path, ...]]:
        """What is remembered of a shard's images; nothing when a part of it is gone."""
        taken = self._earlier.of(split, number, count)
        paths = []
        for place, made in enumerate(taken):
            try:
                paths.append(self._earlier.download(made.rows, self._folder / f"{name}.earlier-{place}.rows.gz"))
            except GONE as error:
                logger.warning("checking the images of shard %s again: %s", name, error)
                return [], ()
        return taken, tuple(paths)

    def _shard(self, name: str, taken: list[Made], place: int) -> Path:
        shard = taken[place].shard
        assert shard is not None
        try:
            return self._earlier.download(shard, self._folder / f"{name}.earlier-{place}.tfrecord")
        except GONE as error:
            raise GoneError(str(error)) from error


def _file(pair: Pair, labels_version: str) -> ImageFile:
    return ImageFile(pair.image.path, pair.image.etag, pair.annotation.path, labels_version)


def _added_up(
    splits: list[DatasetSplit],
    results: list[ShardResult],
    shards: dict[Split, list[Made]],
    folder: Path,
    findings: Findings,
) -> Built:
    csv, fingerprints = [], {}
    left = iter(results)
    for split in splits:
        findings.extend(split.findings)
        path = folder / f"{split.name}_labels.csv"
        fingerprints[split.name] = list[tuple[list[Pair], Fingerprints]]()
        with path.open("wb") as file:
            write_header(file)
            for pairs, result in zip(split.shards, left, strict=False):
                split.totals.merge(result.totals)
                findings.merge(result.findings)
                fingerprints[split.name].append((pairs, result.fingerprints))
                _append(result.csv, file)
        csv.append(path)
    return Built(splits, shards, csv, fingerprints)


def _append(part: Path, file: BinaryIO) -> None:
    try:
        with part.open("rb") as opened:
            shutil.copyfileobj(opened, file)
    except OSError as error:
        raise disk_full(error, part) from error
    part.unlink()
