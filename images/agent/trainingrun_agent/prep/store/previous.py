"""The shards that earlier preparations of the same sources stored, and the lists that name them for the next one.

The last preparation that went to its end left the list of all its shards; one that was interrupted left the list of
those that it had finished (unfinished.py).

Invariant: a list is only a hint. An object that it names is used only if it may be believed (stored_objects.py) and,
once read, has its SHA-256; whatever is missing or damaged, the data set comes out the same. Two preparations may
overwrite each other's list; either is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from trainingrun_agent.errors import UNUSABLE, IntegrityError, NotFound, StageError
from trainingrun_agent.log import logger
from trainingrun_agent.prep.image.intensity import IntensityRange
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.split.shards import MAX_SHARDS
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import RECORD_ROLES, ManifestObject


@dataclass(frozen=True)
class StoredShard:
    """The objects of a shard, as in a manifest; `records` is None if none of its images can be used."""

    records: ManifestObject | None
    rows: ManifestObject

    @property
    def objects(self) -> list[ManifestObject]:
        """The objects of a shard: its records, if any, and its rows."""
        return [self.rows] if self.records is None else [self.records, self.rows]


StoredShards = Mapping[Split, Sequence[StoredShard | None]]
"""By split: all of its shards, in the order of their numbers; None for one that is not stored yet."""


class ShardList(NamedTuple):
    """The shards of a preparation, and the range that it scaled images of more than 8 bits with, if any."""

    shards: StoredShards
    intensity: IntensityRange | None = None


UNREADABLE = (*UNUSABLE, ValueError, KeyError, TypeError, AttributeError)
"""What reading a damaged list raises."""

GONE = (NotFound, IntegrityError)
"""What downloading a previous object raises if it was deleted or changed; its images are then checked again."""

_SPLITS: tuple[Split, Split] = ("train", "eval")


def write(store: ObjectStore, key: str, listed: ShardList) -> bool:
    """Write a list for the next preparation; return whether it was stored. Without it, images are checked again."""
    document: dict[str, Any] = {
        "formatVersion": 1,
        "shards": {split: [*map(_to_json, stored)] for split, stored in listed.shards.items()},
    }
    if listed.intensity is not None:
        document["intensityRange"] = listed.intensity
    try:
        store.put(key, documents.encode(document))
    except StageError as error:
        logger.warning("the next preparation will check images again: %s", error)
        return False
    return True


def read(store: ObjectStore, key: str) -> ShardList:
    """Read the list at a key, empty if there is none. Raises one of UNREADABLE, and what storage raises."""
    document = documents.read(store, key)
    return ShardList({}) if document is None else _parse(document)


class PreviousShards(NamedTuple):
    """The previous shards with the images of a shard. `same` if they can only be one that held the same images."""

    shards: list[StoredShard]
    same: bool


class PreviousDataset:
    """The shards of earlier preparations, by list: the first one that has a shard counts. There may be none."""

    def __init__(self, folder: DatasetFolder, lists: Sequence[ShardList]) -> None:
        self._folder, self._lists = folder, lists
        self._store, self._keys, self._objects = folder.store, folder.keys, folder.objects

    @classmethod
    def of_sources(cls, folder: DatasetFolder, sources_digest: str) -> PreviousDataset:
        """Read the lists about these sources, the one that counts first. Raises what storage raises."""
        keys = folder.keys.unfinished_shards(sources_digest), folder.keys.latest_shards(sources_digest)
        return cls(folder, [_read_or_nothing(folder, key) for key in keys])

    @property
    def intensity(self) -> IntensityRange | None:
        """The range that the images were scaled with, if any: new images do not change it."""
        return next((one.intensity for one in self._lists if one.intensity is not None), None)

    def scaled_with(self, intensity: IntensityRange | None) -> PreviousDataset:
        """Only the shards that were made with this range."""
        same = [one if one.intensity == intensity else ShardList({}) for one in self._lists]
        return PreviousDataset(self._folder, same)

    @property
    def first(self) -> StoredShards:
        """The shards of the list that counts first."""
        return self._lists[0].shards

    def shards_for(self, split: Split, number: int, count: int) -> PreviousShards:
        """The previous shards that hold the images of shard `number` of `count`; none if any of them is gone.

        Numbers of shards are powers of two, so the images come from one previous shard, or from a few whole ones. Rows
        are not looked for here: they are downloaded next.
        """
        for stored in (one.shards.get(split, ()) for one in self._lists):
            fewest = min(count, len(stored))
            wanted = [one for other, one in enumerate(stored) if other % fewest == number % fewest]
            found = [one for one in wanted if one is not None and (one.records is None or self._exists(one.records))]
            if found and len(found) == len(wanted):
                return PreviousShards(found, same=len(stored) == count)
        return PreviousShards([], same=False)

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


def _read_or_nothing(folder: DatasetFolder, key: str) -> ShardList:
    try:
        return read(folder.store, key)
    except UNREADABLE as error:
        logger.warning("checking all images, because %s cannot be read: %s", folder.uri(key), error)
        return ShardList({})


def _parse(document: Mapping[str, Any]) -> ShardList:
    if document["formatVersion"] != 1:
        raise ValueError(f"formatVersion {document['formatVersion']} is not known")
    listed = {split: document["shards"].get(split, ()) for split in _SPLITS}
    shards = {
        split: [_parse_shard(pair, split) for pair in islice(pairs, MAX_SHARDS)] for split, pairs in listed.items()
    }
    stored = document.get("intensityRange")
    return ShardList(shards, None if stored is None else IntensityRange.parse(stored))


def _to_json(one: StoredShard | None) -> list[Any] | None:
    if one is None:
        return None
    return [None if one.records is None else one.records.to_json(), one.rows.to_json()]


def _parse_shard(pair: Sequence[Any] | None, split: Split) -> StoredShard | None:
    if pair is None:
        return None
    records, rows = pair
    return StoredShard(None if records is None else _parse_records(records, split), ManifestObject.parse(rows))


def _parse_records(item: Mapping[str, Any], split: Split) -> ManifestObject:
    found = ManifestObject.parse(item)
    if type(found.images) is not int or found.images < 1 or found.role != RECORD_ROLES[split]:
        raise ValueError(f"{found.key} is no shard of {split}")
    return found
