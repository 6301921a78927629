"""What the last preparation of the same sources left behind, and where the next one finds it.

Invariant: only a hint. What it names is believed when it is there in its size and, once read, has its SHA-256; nothing
is ever missing from a data set because of it. Two preparations may overwrite each other's: either is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainingrun_agent.errors import IntegrityError, NotFound, StorageOutage, StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.split.shards import MAX_SHARDS
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import ManifestObject


@dataclass(frozen=True)
class Made:
    """A shard's objects as a manifest names them; `shard` is None when no image of it can be used."""

    shard: ManifestObject | None
    rows: ManifestObject

    @property
    def objects(self) -> list[ManifestObject]:
        """Both, or the one there is."""
        return [self.rows] if self.shard is None else [self.shard, self.rows]


Shards = Mapping[Split, list[Made]]
"""By split, one for each of its shards, in their order."""


def key_of(datasets_prefix: str, sources: str) -> str:
    """Where it is kept; `sources` is a digest of what decides how a record looks, other than the files themselves."""
    return f"{datasets_prefix}/latest/{sources}.json"


def remember(store: ObjectStore, key: str, shards: Shards) -> None:
    """For the next preparation."""
    document = {
        "formatVersion": 1,
        "shards": {
            split: [[None if made.shard is None else made.shard.to_json(), made.rows.to_json()] for made in all_made]
            for split, all_made in shards.items()
        },
    }
    try:
        store.put(key, documents.encode(document))
    except (StorageRefused, StorageOutage) as error:
        logger.warning("the next preparation will check all images again: %s", error)


def read(store: ObjectStore, key: str) -> Shards:
    """What was remembered at this key, nothing when there is none. Raises one of UNREADABLE, what storage raises."""
    document = documents.read(store, key)
    return {} if document is None else _parse(document)


UNREADABLE = (IntegrityError, ValueError, KeyError, TypeError, AttributeError)


class Earlier:
    """The shards of an earlier preparation, or none."""

    def __init__(self, store: ObjectStore, datasets_prefix: str, shards: Shards) -> None:
        self._store, self._prefix, self._shards = store, datasets_prefix, shards

    @classmethod
    def recall(cls, store: ObjectStore, key: str, datasets_prefix: str) -> Earlier:
        """What was remembered at this key."""
        try:
            return cls(store, datasets_prefix, read(store, key))
        except UNREADABLE as error:
            logger.warning("s3://%s/%s is of no use, all images are checked: %s", store.bucket, key, error)
            return cls(store, datasets_prefix, {})

    def of(self, split: Split, number: int, count: int) -> list[Made]:
        """What holds the images of shard `number` of `count`, with all of its shards still there; else nothing.

        Rows are not looked for: they are read next.

        Numbers of shards are powers of two, so that a shard's images come from one earlier shard, or a few whole ones.
        """
        all_made = self._shards.get(split, [])
        least = min(count, len(all_made))
        made = [one for place, one in enumerate(all_made) if place % least == number % least]
        return made if all(one.shard is None or self._there(one.shard) for one in made) else []

    def whole(self, split: Split, count: int) -> bool:
        """Whether it had as many shards."""
        return len(self._shards.get(split, ())) == count

    def download(self, entry: ManifestObject, path: Path) -> Path:
        """Raises NotFound, IntegrityError, DiskFull."""
        try:
            self._store.download(self._key(entry), path, size=entry.size, sha256=entry.sha256)
        except IntegrityError:
            self._store.delete(self._key(entry))  # so that it is written anew: its name promises other bytes
            raise
        return path

    def _there(self, entry: ManifestObject) -> bool:
        info = self._store.head(self._key(entry))
        return info is not None and info.size == entry.size

    def _key(self, entry: ManifestObject) -> str:
        return f"{self._prefix}/{entry.key.removeprefix('datasets/')}"


GONE = (NotFound, IntegrityError)
"""What reading an earlier object may raise; then its images are checked again."""


def _parse(document: Mapping[str, Any]) -> dict[Split, list[Made]]:
    if document["formatVersion"] != 1:
        raise ValueError(f"formatVersion {document['formatVersion']} is not known")
    return {split: [_made(*pair) for pair in document["shards"].get(split, ())][:MAX_SHARDS] for split in _SPLITS}


def _made(shard: Mapping[str, Any] | None, rows: Mapping[str, Any]) -> Made:
    return Made(None if shard is None else ManifestObject.parse(shard), ManifestObject.parse(rows))


_SPLITS: tuple[Split, Split] = ("train", "eval")
