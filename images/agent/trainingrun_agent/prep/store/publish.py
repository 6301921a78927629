"""The data set in the bucket: shards by content, small files, the manifest last.

Invariant: a manifest is believed only while every object it names is there with its size; two preparations
of the same data write the same shards, and either manifest is right.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import IntegrityError, NotFound, StageError
from trainingrun_agent.keys import BucketKeys, manifest_of
from trainingrun_agent.log import logger
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.sharding.job import LocalFile
from trainingrun_agent.prep.store.previous import Made
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.storage import FILE_CHANGED_LOCALLY
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.terms import Message, Place, Text

ROLES = {
    "label_map.pbtxt": "labelMap",
    "report.json": "report",
    "report.html": "reportPage",
    "train_labels.csv": "trainCSV",
    "eval_labels.csv": "evalCSV",
}
RECORD_ROLES: dict[Split, str] = {"train": "trainRecords", "eval": "evalRecords"}
UPLOADS_AT_ONCE = 3


@dataclass(frozen=True)
class Writing:
    """What every upload heeds and tells."""

    progress: Progress
    stop: threading.Event
    clock: Clock


@dataclass(frozen=True)
class Home:
    """Where a data set lives: `datasets_prefix` without a trailing slash."""

    store: ObjectStore
    datasets_prefix: str
    digest: str

    @property
    def folder(self) -> str:
        """Absolute key of the data set's folder."""
        return f"{self.datasets_prefix}/{self.digest}"

    @property
    def manifest_key(self) -> str:
        """Absolute key of its manifest."""
        return manifest_of(self.folder)

    def uri(self, key: str) -> str:
        """How users address a key."""
        return f"s3://{self.store.bucket}/{key}"


def reusable(home: Home) -> Manifest | None:
    """The manifest of an earlier preparation whose objects are all there, else None."""
    try:
        found = manifest.read(home.store, home.manifest_key)
    except NotFound:
        return None
    except IntegrityError as error:
        logger.warning("preparing again: %s", error)
        return None
    prefix = home.datasets_prefix.removesuffix("datasets").rstrip("/")
    gone = manifest.missing(home.store, found, folder=home.folder, keys=BucketKeys(prefix))
    if gone is not None:
        logger.warning("preparing again: %s is gone or was changed", home.uri(gone))
        return None
    return found


class Uploads:
    """Uploads shards behind the checking of others; what is uploaded is removed from scratch disk.

    Used as a block, that waits for them all.
    """

    def __init__(self, home: Home, progress: Progress) -> None:
        self._home, self._progress = home, progress
        self._pool = ThreadPoolExecutor(UPLOADS_AT_ONCE, "upload")
        self._lock = threading.Lock()
        self._done, self._total, self._shown = 0, 0, False

    def start(
        self, split: Split, shard: LocalFile | None, rows: LocalFile, *, same: ManifestObject | None
    ) -> Future[Made]:
        """Begin with a shard, or its rows when it is the `same` as before. The future raises what storage raises."""
        with self._lock:
            self._total += rows.size + (shard.size if shard else 0)
        return self._pool.submit(self._upload, split, shard, rows, same)

    def wait(self, futures: Iterable[Future[Made]], stop: threading.Event) -> list[Made]:
        """Show what is left to write, and wait for it. Raises what storage raises, Interrupted."""
        self._shown = True
        self._moved(0)
        made = []
        for future in futures:
            raise_if_stopped(stop)
            made.append(future.result())
        return made

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(cancel_futures=True)

    def _upload(self, split: Split, shard: LocalFile | None, rows: LocalFile, same: ManifestObject | None) -> Made:
        return Made(
            same if shard is None else self._blob(shard, RECORD_ROLES[split], "tfrecord", images=shard.images),
            self._blob(rows, f"{split}Rows", "rows.gz"),
        )

    def _blob(self, file: LocalFile, role: str, suffix: str, *, images: int | None = None) -> ManifestObject:
        home, name = self._home, f"blobs/{file.sha256}.{suffix}"
        key = f"{home.datasets_prefix}/{name}"
        there = home.store.head(key)
        if there is not None and there.size == file.size:
            self._moved(file.size)
        else:
            with file.path.open("rb") as opened:
                sent = home.store.upload(key, opened, size=file.size, on_bytes=self._moved)
            if sent != file.sha256:
                place = Place(home.store.bucket, key)
                raise IntegrityError(FILE_CHANGED_LOCALLY, name=file.path.name, place=place)
        file.path.unlink()
        return ManifestObject(f"datasets/{name}", file.size, file.sha256, role, images)

    def _moved(self, count: int) -> None:
        """Uploads call this from several threads; a repeated part counts back."""
        with self._lock:
            self._done += count
            done = max(0, min(self._done, self._total))
            if self._shown:
                self._progress.update(phase="writing", unit="bytes", done=done, total=self._total)


def publish(
    home: Home,
    *,
    shards: Iterable[Made],
    files: Sequence[Path],
    dataset: dict[str, Any],
    context: Writing,
) -> None:
    """Upload files, then the manifest. Raises what storage raises, Interrupted."""
    objects = [entry for made in shards for entry in made.objects]
    objects += [_file(home, path) for path in files]
    snapshot = context.progress.snapshot()
    document = Manifest(
        kind="dataset",
        producer=Producer(snapshot["podUID"], snapshot.get("epoch", 0)),
        created=rfc3339(context.clock.now()),
        objects=tuple(objects),
        dataset=dataset,
    )
    raise_if_stopped(context.stop)
    manifest.write(home.store, home.folder, document)


def publish_failure(home: Home, files: Sequence[Path]) -> Text:
    """Put the report of a preparation that failed; returns the sentence that says where it is."""
    folder = f"{home.datasets_prefix}/failed/{home.digest}"
    try:
        for path in files:
            home.store.put(f"{folder}/{path.name}", path.read_bytes())
    except StageError as error:
        logger.warning("the report could not be written: %s", error)
        values = {"place": Place(home.store.bucket, f"{folder}/"), "reason": error.reason}
        return Message("The report could not be written to {place}: {reason}.", values)
    return Message("Report: {place}", {"place": Place(home.store.bucket, f"{folder}/{files[-1].name}")})


def _file(home: Home, path: Path) -> ManifestObject:
    size = path.stat().st_size
    with path.open("rb") as file:
        sha256 = home.store.upload(f"{home.folder}/{path.name}", file, size=size)
    return ManifestObject(path.name, size, sha256, ROLES[path.name])
