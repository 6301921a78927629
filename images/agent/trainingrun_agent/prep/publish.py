"""The data set in the bucket: shards by content, small files, the manifest last.

Invariant: a manifest is believed only while every object it names is there with its size; two preparations
of the same data write the same shards, and either manifest is right.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import IntegrityError, NotFound, StageError
from trainingrun_agent.log import logger
from trainingrun_agent.prep.ordered import heed
from trainingrun_agent.prep.shards import Shard
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import documents, manifest
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer

ROLES = {
    "label_map.pbtxt": "labelMap",
    "report.json": "report",
    "train_labels.csv": "trainCSV",
    "eval_labels.csv": "evalCSV",
}
RECORD_ROLES = {"train": "trainRecords", "eval": "evalRecords"}


@dataclass(frozen=True)
class Writing:
    """What every upload heeds and tells."""

    progress: Progress
    stop: threading.Event
    clock: Clock


class _Meter:
    """Bytes of shards uploaded, for progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        self._lock = threading.Lock()
        self.moved(0)

    def moved(self, count: int) -> None:
        """Uploads call this from several threads; a repeated part counts back."""
        with self._lock:
            self._done += count
            done = max(0, min(self._done, self._total))
        self._progress.update(phase="writing", unit="bytes", done=done, total=self._total)


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
        return f"{self.folder}/{manifest.NAME}"

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
    for entry in found.objects:
        key = manifest.object_key(entry, folder=home.folder, prefix=prefix)
        info = home.store.head(key)
        if info is None or info.size != entry.size:
            logger.warning("preparing again: %s is gone or was changed", home.uri(key))
            return None
    return found


def publish(
    home: Home,
    *,
    shards: dict[str, Sequence[Shard]],
    files: Sequence[Path],
    dataset: dict[str, Any],
    context: Writing,
) -> None:
    """Upload shards and files, then the manifest. Raises what storage raises, Interrupted."""
    total = sum(shard.size for group in shards.values() for shard in group)
    meter = _Meter(context.progress, total)
    objects = []
    for split, group in shards.items():
        for shard in group:
            heed(context.stop)
            objects.append(_shard(home, shard, RECORD_ROLES[split], meter))
    objects += [_file(home, path) for path in files]
    snapshot = context.progress.snapshot()
    document = Manifest(
        kind="dataset",
        producer=Producer(snapshot["podUID"], snapshot.get("epoch", 0)),
        created=rfc3339(context.clock.now()),
        objects=tuple(objects),
        dataset=dataset,
    )
    heed(context.stop)
    manifest.write(home.store, home.folder, document)


def publish_failure(home: Home, report: dict[str, Any]) -> str:
    """Put the report of a preparation that failed; returns the sentence that says where it is."""
    key = f"{home.datasets_prefix}/failed/{home.digest}/report.json"
    try:
        home.store.put(key, documents.encode(report))
    except StageError as error:
        logger.warning("the report could not be written: %s", error)
        return f"The report could not be written to {home.uri(key)}: {error.reason}."
    return f"Report: {home.uri(key)}"


def _shard(home: Home, shard: Shard, role: str, meter: _Meter) -> ManifestObject:
    name = f"blobs/{shard.sha256}.tfrecord"
    key = f"{home.datasets_prefix}/{name}"
    there = home.store.head(key)
    if there is not None and there.size == shard.size:
        meter.moved(shard.size)
    else:
        _upload(home, key, shard.path, size=shard.size, sha256=shard.sha256, meter=meter)
    return ManifestObject(f"{manifest.SHARED_FOLDER}{name}", shard.size, shard.sha256, role, shard.images)


def _upload(home: Home, key: str, path: Path, *, size: int, sha256: str, meter: _Meter) -> None:
    with path.open("rb") as file:
        sent = home.store.upload(key, file, size=size, on_bytes=meter.moved)
    if sent != sha256:
        raise IntegrityError(f"{path.name} changed on local disk while it was uploaded to {home.uri(key)}")


def _file(home: Home, path: Path) -> ManifestObject:
    size = path.stat().st_size
    with path.open("rb") as file:
        sha256 = home.store.upload(f"{home.folder}/{path.name}", file, size=size)
    return ManifestObject(path.name, size, sha256, ROLES[path.name])
