"""The shards that the last preparation of the same sources stored, and the list that names them for the next one.

Invariant: the list is only a hint. An object that it names is used only if it may be believed (stored_objects.py) and,
once read, has its SHA-256; whatever the list says, the data set comes out the same. Two preparations may overwrite each
other's list; either is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainingrun_agent.errors import UNUSABLE, IntegrityError, NotFound, StorageOutage, StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.split.shards import MAX_SHARDS
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import ManifestObject


@dataclass(frozen=True)
class StoredShard:
    """The objects of a shard, as in a manifest; `records` is None if none of its images can be used."""

    records: ManifestObject | None
    rows: ManifestObject

    @property
    def objects(self) -> list[ManifestObject]:
        """The objects of a shard: its records, if any, and its rows."""
        return [self.rows] if self.records is None else [self.records, self.rows]


StoredShards = Mapping[Split, list[StoredShard]]
"""By split: all of its shards, in the order of their numbers."""

UNREADABLE = (*UNUSABLE, ValueError, KeyError, TypeError, AttributeError)
"""What reading a damaged list raises."""

GONE = (NotFound, IntegrityError)
"""What downloading a previous object raises if it was deleted or changed; its images are then checked again."""

_SPLITS: tuple[Split, Split] = ("train", "eval")


def write(store: ObjectStore, key: str, shards: StoredShards) -> None:
    """Write the list for the next preparation. Without it, that one checks all images again."""
    document = {
        "formatVersion": 1,
        "shards": {
            split: [[None if one.records is None else one.records.to_json(), one.rows.to_json()] for one in stored]
            for split, stored in shards.items()
        },
    }
    try:
        store.put(key, documents.encode(document))
    except (StorageRefused, StorageOutage) as error:
        logger.warning("the next preparation will check all images again: %s", error)


def read(store: ObjectStore, key: str) -> StoredShards:
    """Read the list at a key, empty if there is none. Raises one of UNREADABLE, and what storage raises."""
    document = documents.read(store, key)
    return {} if document is None else _parse(document)


class PreviousDataset:
    """The shards of the previous data set; there may be none."""

    def __init__(self, folder: DatasetFolder, shards: StoredShards) -> None:
        self._store, self._keys, self._objects, self._shards = folder.store, folder.keys, folder.objects, shards

    @classmethod
    def load(cls, folder: DatasetFolder, *, sources_digest: str) -> PreviousDataset:
        """Read the list of the last preparation of these sources. Raises what storage raises."""
        key = folder.keys.latest_shards(sources_digest)
        try:
            return cls(folder, read(folder.store, key))
        except UNREADABLE as error:
            logger.warning("checking all images, because %s cannot be read: %s", folder.uri(key), error)
            return cls(folder, {})

    def shards_for(self, split: Split, number: int, count: int) -> list[StoredShard]:
        """The previous shards that hold the images of shard `number` of `count`; empty if any of them is gone.

        Numbers of shards are powers of two, so the images come from one previous shard, or from a few whole ones. Rows
        are not looked for here: they are downloaded next.
        """
        stored = self._shards.get(split, [])
        fewest = min(count, len(stored))
        found = [one for other, one in enumerate(stored) if other % fewest == number % fewest]
        return found if all(one.records is None or self._exists(one.records) for one in found) else []

    def has_count(self, split: Split, count: int) -> bool:
        """Whether the split had `count` shards; if so, each shard holds the same images as the previous one."""
        return len(self._shards.get(split, ())) == count

    def download(self, entry: ManifestObject, path: Path) -> Path:
        """Download an object. Raises NotFound, IntegrityError, DiskFull."""
        key = self._key(entry)
        try:
            self._store.download(key, path, size=entry.size, sha256=entry.sha256)
        except IntegrityError as error:
            self._objects.found_damaged(key, error)
            raise
        return path

    def _exists(self, entry: ManifestObject) -> bool:
        return self._objects.has(self._key(entry), size=entry.size, sha256=entry.sha256)

    def _key(self, entry: ManifestObject) -> str:
        """Always below datasets/, whatever the list says."""
        return self._keys.manifest_entry(entry.key, folder=self._keys.datasets)


def _parse(document: Mapping[str, Any]) -> dict[Split, list[StoredShard]]:
    if document["formatVersion"] != 1:
        raise ValueError(f"formatVersion {document['formatVersion']} is not known")
    return {split: [_stored(*pair) for pair in document["shards"].get(split, ())][:MAX_SHARDS] for split in _SPLITS}


def _stored(records: Mapping[str, Any] | None, rows: Mapping[str, Any]) -> StoredShard:
    return StoredShard(None if records is None else ManifestObject.parse(records), ManifestObject.parse(rows))
