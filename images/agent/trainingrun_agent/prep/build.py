"""Check and write all shards of a data set, upload them, and add up their results.

Invariant: results are added up in the order of splits and shards, so that the data set does not depend on which shard
was complete first.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.keys import labels_csv
from trainingrun_agent.log import logger
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.image.intensity import UNKNOWN, Scaling
from trainingrun_agent.prep.model.findings import Findings, Split
from trainingrun_agent.prep.output.labels_csv import write_header
from trainingrun_agent.prep.output.scratch_file import writing_to_scratch
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.prep.sharding import rows as row_files
from trainingrun_agent.prep.sharding import shard_summary
from trainingrun_agent.prep.sharding.fingerprints import Fingerprints
from trainingrun_agent.prep.sharding.job import ImageFile, ShardJob
from trainingrun_agent.prep.sharding.pool import run_all, workers_for
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.sharding.supervisor import Checked, PreviousShardGoneError, ShardTask
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.prep.store import previous
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.prep.store.previous import GONE, PreviousDataset, PreviousShards, ShardList, StoredShard
from trainingrun_agent.prep.store.unfinished import UnfinishedList
from trainingrun_agent.prep.store.uploads import Uploads
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.folder_store import FolderStore

_ShardId = tuple[Split, int]
"""A split and the number of one of its shards."""


@dataclass(frozen=True)
class BuiltDataset:
    """All images are checked, and all shards are in the bucket.

    `splits` have their totals; `fingerprints` are by shard, each with the pairs that they are about.
    """

    splits: list[DatasetSplit]
    shards: dict[Split, list[StoredShard]]
    csv: list[Path]
    fingerprints: Mapping[Split, list[tuple[list[Pair], Fingerprints]]]


def build(
    request: PrepareRequest,
    splits: list[DatasetSplit],
    folder: DatasetFolder,
    *,
    earlier: PreviousDataset,
    scaling: Scaling | None,
    sources_digest: str,
    scratch: Path,
    findings: Findings,
) -> BuiltDataset:
    """Check all images, write and upload all shards, and list them for the next preparation; `findings` are added to.

    `scaling` is None if no image needs a range.
    Raises what storage raises, DiskFull, Interrupted.
    """
    intensity = None if scaling is None else scaling.range
    earlier = earlier.scaled_with(intensity)
    stored_so_far = UnfinishedList(
        folder.store,
        folder.keys.unfinished_shards(sources_digest),
        found=earlier.first,
        intensity=intensity,
        images={split.name: [len(pairs) for pairs in split.shards] for split in splits},
        progress=request.progress,
        clock=request.clock,
    )
    ids: list[_ShardId] = [(split.name, number) for split in splits for number in range(len(split.shards))]
    images, sizes = sum(split.images for split in splits), _sizes(splits)
    with stored_so_far, closing(Uploads(folder, request.progress)) as uploads:
        builder = _ShardBuilder(splits, earlier, scratch, uploads, stored_so_far)
        run_all(
            # The largest first, so that at the end all workers have work.
            [partial(builder.task, *shard_id) for shard_id in sorted(ids, key=sizes.__getitem__, reverse=True)],
            checker=Checker(
                request.dataset.classes,
                request.dataset.max_image_side,
                scaling or UNKNOWN,
                current=request.progress.current,
            ),
            network_input=splits[0].totals.network_input,
            scratch=scratch,
            workers=workers_for(images, sum(sizes.values())),
            stop=request.stop,
            on_checked=_CheckingProgress(request.progress, images).add,
            on_result=builder.upload,
        )
        stored = uploads.wait([builder.stored[shard_id] for shard_id in ids], request.stop)
    shards: dict[Split, list[StoredShard]] = {split.name: [] for split in splits}
    for (split, _), shard in zip(ids, stored, strict=True):
        shards[split].append(shard)
    if previous.write(folder.store, folder.keys.latest_shards(sources_digest), ShardList(shards, intensity)):
        stored_so_far.remove()
    csv, fingerprints = _add_up(splits, [builder.results[shard_id] for shard_id in ids], scratch, findings)
    return BuiltDataset(splits, shards, csv, fingerprints)


def _sizes(splits: Sequence[DatasetSplit]) -> dict[_ShardId, int]:
    """Bytes of the images of each shard."""
    return {
        (split.name, number): sum(pair.image.size for pair in pairs)
        for split in splits
        for number, pairs in enumerate(split.shards)
    }


class _ShardBuilder:
    """Makes the task of each shard and uploads its result; called by several threads at once."""

    def __init__(
        self,
        splits: Sequence[DatasetSplit],
        earlier: PreviousDataset,
        scratch: Path,
        uploads: Uploads,
        stored_so_far: UnfinishedList,
    ) -> None:
        self._splits = {split.name: split for split in splits}
        self._earlier, self._scratch, self._uploads, self._stored_so_far = earlier, scratch, uploads, stored_so_far
        self._previous_shards: dict[_ShardId, list[StoredShard]] = {}
        self.results: dict[_ShardId, ShardResult] = {}
        self.stored: dict[_ShardId, Future[StoredShard]] = {}

    def task(self, name: Split, number: int) -> ShardTask:
        """The task of a shard, with the previous rows about its images."""
        split = self._splits[name]
        source, pairs = split.source, split.shards[number]
        version = source.labels.version
        shard_name = f"{name}-{number:05d}"
        (previous_shards, same), rows = self._previous_rows(split, number, shard_name)
        self._previous_shards[name, number] = previous_shards
        job = ShardJob(
            name,
            number,
            shard_name,
            source.format,
            [_image_file(pair, version(pair) if rows or source.labels.unread else "") for pair in pairs],
            previous_rows=rows,
            same_shard=same,
        )
        return ShardTask(
            job,
            self._known_result(job),
            pairs,
            source.images,
            source.labels.read,
            lambda index: self._download_shard(shard_name, index, previous_shards),
            source.labels.unread if isinstance(source.images.store, FolderStore) else None,
        )

    def upload(self, task: ShardTask, result: ShardResult) -> None:
        """Start uploading the files of a shard; those that have not changed are in the bucket already."""
        job = task.job
        shard_id = (job.split, job.number)
        self.results[shard_id] = result
        for path in job.previous_rows:
            path.unlink()
        if result.rows is None:
            unchanged = self._previous_shards[shard_id][0]
            self._stored_so_far.add(*shard_id, unchanged)
            self.stored[shard_id] = Future()
            self.stored[shard_id].set_result(unchanged)
        else:
            self.stored[shard_id] = self._uploads.start(
                job.split,
                result.shard,
                result.rows,
                same_records=self._previous_shards[shard_id][0].records if result.same_records else None,
                on_stored=partial(self._stored_so_far.add, *shard_id),
            )

    def _previous_rows(
        self, split: DatasetSplit, number: int, shard_name: str
    ) -> tuple[PreviousShards, tuple[Path, ...]]:
        """The previous shards with a shard's images, and their rows, downloaded. Nothing if any of them is gone."""
        found = self._earlier.shards_for(split.name, number, len(split.shards))
        paths = []
        for index, shard in enumerate(found.shards):
            try:
                path = self._scratch / f"{shard_name}.previous-{index}.rows.gz"
                paths.append(self._earlier.download(shard.rows, path))
            except GONE as error:
                logger.warning("checking all images of shard %s again: %s", shard_name, error)
                return PreviousShards([], same=False), ()
        return found, tuple(paths)

    def _known_result(self, job: ShardJob) -> ShardResult | None:
        """The result of a shard if nothing in it has changed, from the summary in its previous rows."""
        if not job.same_shard or len(job.previous_rows) != 1:
            return None
        network_input = self._splits[job.split].totals.network_input
        try:
            return shard_summary.read(job.previous_rows[0], job, network_input, self._scratch / f"{job.name}.csv")
        except row_files.UNREADABLE as error:
            logger.warning("the summary of shard %s cannot be read, reading its rows: %s", job.name, error)
            return None

    def _download_shard(self, shard_name: str, index: int, previous_shards: list[StoredShard]) -> Path:
        records = previous_shards[index].records
        assert records is not None
        try:
            return self._earlier.download(records, self._scratch / f"{shard_name}.previous-{index}.tfrecord")
        except GONE as error:
            raise PreviousShardGoneError(str(error)) from error


def _image_file(pair: Pair, labels_version: str) -> ImageFile:
    return ImageFile(pair.image.path, pair.image.etag, pair.annotation.path, labels_version)


class _CheckingProgress:
    """What was checked so far."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._checked = Checked()
        self._lock = threading.Lock()
        self.add(self._checked)

    def add(self, checked: Checked) -> None:
        """Count more; called by several threads at once."""
        with self._lock:
            self._checked += checked
            self._progress.update(
                phase="checking",
                unit="images",
                done=self._checked.images,
                total=self._total,
                bytes=self._checked.size,
                reused=self._checked.reused,
            )


def _add_up(
    splits: list[DatasetSplit], results: list[ShardResult], scratch: Path, findings: Findings
) -> tuple[list[Path], dict[Split, list[tuple[list[Pair], Fingerprints]]]]:
    """Add the shards' results to the splits and to the findings; join their CSV files and their fingerprints."""
    csv, fingerprints = [], {}
    remaining = iter(results)
    for split in splits:
        findings.extend(split.findings)
        path = scratch / labels_csv(split.name)
        fingerprints[split.name] = list[tuple[list[Pair], Fingerprints]]()
        with writing_to_scratch(path.name), path.open("wb") as file:
            write_header(file)
            for pairs, result in zip(split.shards, remaining, strict=False):
                split.totals.merge(result.totals)
                findings.merge(result.findings)
                fingerprints[split.name].append((pairs, result.fingerprints))
                _append(result.csv, file)
        csv.append(path)
    return csv, fingerprints


def _append(part: Path, file: BinaryIO) -> None:
    with part.open("rb") as opened:
        shutil.copyfileobj(opened, file)
    part.unlink()
