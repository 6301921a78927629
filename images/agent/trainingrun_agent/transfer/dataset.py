"""The prepared data set: its objects in the bucket, and their names in the shared folder.

Invariant: exactly the objects that the manifest names are fetched, and verified by size and SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainingrun_agent.config import Resolved
from trainingrun_agent.errors import IntegrityError
from trainingrun_agent.keys import folder_of
from trainingrun_agent.reasons.storage import NOT_A_DATA_SET
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject
from trainingrun_agent.terms import Place
from trainingrun_agent.transfer.meter import Meter

ROLES = {"train": "trainRecords", "eval": "evalRecords"}
"""Roles of shards in the manifest, by split."""


@dataclass(frozen=True)
class DatasetFile:
    """One object to fetch, and its name in `dataset/`."""

    key: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DatasetFiles:
    """A data set as the trainer sees it; `images` counts them by split."""

    splits: dict[str, tuple[DatasetFile, ...]]
    label_map: DatasetFile
    images: dict[str, int]

    def files(self, *splits: str) -> list[DatasetFile]:
        """The files to fetch for these splits."""
        return [self.label_map, *(file for split in splits for file in self.splits[split])]

    def records(self, split: str) -> list[str]:
        """Paths of a split's shards, relative to the shared folder."""
        return [f"{names.DATASET}/{file.name}" for file in self.splits[split]]


def locate(store: ObjectStore, resolved: Resolved, prepared: dict[str, Any]) -> DatasetFiles:
    """The files of the manifest that prepared.json points to. Raises NotFound, IntegrityError."""
    key = resolved.keys.absolute(str(prepared["manifestKey"]))
    manifest = manifests.read(store, key)
    folder = folder_of(key)
    label_maps = [entry for entry in manifest.objects if entry.key == names.LABEL_MAP]
    splits = {split: _split(manifest, split, folder=folder, resolved=resolved) for split in ROLES}
    images = {split: _images(manifest, split) for split in ROLES}
    if manifest.kind != "dataset" or len(label_maps) != 1 or not all(splits.values()) or not all(images.values()):
        raise IntegrityError(NOT_A_DATA_SET, place=Place(store.bucket, key))
    return DatasetFiles(splits, _file(label_maps[0], names.LABEL_MAP, folder=folder, resolved=resolved), images)


def fetch(store: ObjectStore, file: DatasetFile, into: Folder, meter: Meter) -> None:
    """Download one file."""
    store.download(file.key, into.path(file.name), size=file.size, sha256=file.sha256, on_bytes=meter.moved)


def _split(manifest: Manifest, split: str, *, folder: str, resolved: Resolved) -> tuple[DatasetFile, ...]:
    shards = [entry for entry in manifest.objects if entry.role == ROLES[split]]
    return tuple(
        _file(entry, f"{split}-{index:05d}-of-{len(shards):05d}.tfrecord", folder=folder, resolved=resolved)
        for index, entry in enumerate(shards)
    )


def _images(manifest: Manifest, split: str) -> int:
    return sum(entry.images or 0 for entry in manifest.objects if entry.role == ROLES[split])


def _file(entry: ManifestObject, name: str, *, folder: str, resolved: Resolved) -> DatasetFile:
    key = resolved.keys.manifest_entry(entry.key, folder=folder)
    return DatasetFile(key, name, entry.size, entry.sha256)
