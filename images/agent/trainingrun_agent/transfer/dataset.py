"""The prepared data set: its objects in the bucket, and their names in the shared folder.

Invariant: exactly the objects that the manifest names are fetched, and verified by size and SHA-256. What is missing or
damaged ends the stage as DatasetLost, and what is damaged is marked for the next preparation, which makes it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Resolved
from trainingrun_agent.errors import UNUSABLE, IntegrityError, NotFound, StageError, StorageRefused
from trainingrun_agent.keys import folder_of
from trainingrun_agent.reasons.pods import DATASET_LOST
from trainingrun_agent.reasons.storage import NOT_A_DATA_SET, RESULT_NOT_FOUND
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import damage
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, RecordSplit
from trainingrun_agent.storage.results import PIPELINE_CONFIG_SHA256, read_result
from trainingrun_agent.terms import Message, Place
from trainingrun_agent.transfer.meter import Meter

MAX_PIPELINE_CONFIG = 1 << 20


@dataclass(frozen=True)
class DatasetFile:
    """One object to fetch, and its name in `dataset/`."""

    key: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DatasetFiles:
    """A data set as the trainer sees it; `images` counts them by split.

    `pipeline_sha256` is of the run's pipeline.config, None if an older version prepared it. `intensity_range` are the
    values of images of more than 8 bits that became black and white, None if there was no range.
    """

    splits: Mapping[RecordSplit, tuple[DatasetFile, ...]]
    label_map: DatasetFile
    images: Mapping[RecordSplit, int]
    pipeline_sha256: str | None
    intensity_range: Sequence[int] | None

    def files(self, *splits: RecordSplit) -> list[DatasetFile]:
        """The files to fetch for these splits."""
        return [self.label_map, *(file for split in splits for file in self.splits[split])]

    def records(self, split: RecordSplit) -> list[str]:
        """Paths of a split's shards, relative to the shared folder."""
        return [f"{names.DATASET}/{file.name}" for file in self.splits[split]]


@contextmanager
def raising_lost() -> Iterator[None]:
    """Raise DatasetLost in place of an error of the block that means that an object is gone or damaged."""
    try:
        yield
    except UNUSABLE as error:
        raise StorageRefused(DATASET_LOST, problem=error, more="") from error


def locate(store: ObjectStore, resolved: Resolved) -> DatasetFiles:
    """The files of the manifest that prepared.json points to. Raises DatasetLost."""
    with raising_lost():
        prepared = read_result(store, resolved.run_keys, "prep")
        if prepared is None:
            raise NotFound(RESULT_NOT_FOUND, place=Place(store.bucket, resolved.run_keys.result("prep")))
        return _parse(store, resolved, prepared)


def _parse(store: ObjectStore, resolved: Resolved, prepared: dict[str, Any]) -> DatasetFiles:
    key = resolved.keys.absolute(str(prepared["manifestKey"]))
    manifest = manifests.read(store, key)
    if not manifest.is_data_set():
        raise IntegrityError(NOT_A_DATA_SET, place=Place(store.bucket, key))
    folder = folder_of(key)
    splits = {split: _split(manifest, split, folder=folder, resolved=resolved) for split in manifests.RECORD_ROLES}
    images = {split: sum(entry.images or 0 for entry in manifest.records(split)) for split in manifests.RECORD_ROLES}
    label_map = next(entry for entry in manifest.objects if entry.key == names.LABEL_MAP)
    label_map_file = _file(label_map, names.LABEL_MAP, folder=folder, resolved=resolved)
    intensities = _pair((manifest.dataset or {}).get("intensityRange"))
    return DatasetFiles(splits, label_map_file, images, prepared.get(PIPELINE_CONFIG_SHA256), intensities)


def _pair(found: object) -> list[int] | None:
    if not isinstance(found, list) or len(found) != 2 or not all(isinstance(value, int) for value in found):
        return None
    return found


def read_pipeline_config(store: ObjectStore, resolved: Resolved, *, sha256: str | None) -> bytes:
    """The run's pipeline.config, verified if its digest is known. Raises one of UNUSABLE."""
    key = resolved.run_keys.pipeline_config
    data = store.get(key, max_bytes=MAX_PIPELINE_CONFIG)
    found = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, found):
        raise IntegrityError(where=Place(store.bucket, key), found=f"SHA-256 {found}", expected=f"SHA-256 {sha256}")
    return data


def fetch(store: ObjectStore, file: DatasetFile, into: Folder, meter: Meter) -> None:
    """Download one file."""
    store.download(file.key, into.path(file.name), size=file.size, sha256=file.sha256, on_bytes=meter.moved)


class DatasetFetch:
    """Downloads the files of a data set, and collects those that are lost: all of them are then made again at once."""

    def __init__(self, store: ObjectStore, resolved: Resolved, clock: Clock) -> None:
        self._store, self._resolved, self._clock = store, resolved, clock
        self._lost: list[StageError] = []

    def fetch(self, file: DatasetFile, into: Folder, meter: Meter) -> None:
        """Download one file, or mark it as damaged; called by several threads."""
        try:
            fetch(self._store, file, into, meter)
        except UNUSABLE as error:
            self._lost.append(error)
            if isinstance(error, IntegrityError):
                damage.mark(self._store, self._resolved.keys, file.key, found=error, clock=self._clock)

    def raise_if_lost(self) -> None:
        """Raise DatasetLost if a file is missing or damaged."""
        if self._lost:
            more = Message("; {count} more objects of it are lost", {"count": len(self._lost) - 1})
            raise StorageRefused(DATASET_LOST, problem=self._lost[0], more=more if len(self._lost) > 1 else "")


def _split(manifest: Manifest, split: RecordSplit, *, folder: str, resolved: Resolved) -> tuple[DatasetFile, ...]:
    shards = manifest.records(split)
    return tuple(
        _file(entry, f"{split}-{index:05d}-of-{len(shards):05d}.tfrecord", folder=folder, resolved=resolved)
        for index, entry in enumerate(shards)
    )


def _file(entry: ManifestObject, name: str, *, folder: str, resolved: Resolved) -> DatasetFile:
    key = resolved.keys.manifest_entry(entry.key, folder=folder)
    return DatasetFile(key, name, entry.size, entry.sha256)
