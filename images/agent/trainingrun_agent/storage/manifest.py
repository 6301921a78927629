"""Manifests: MANIFEST.json names a complete, immutable set of objects and is written last.

Invariant: readers trust manifests only. A parsed manifest has no key that leads out of its folder, except keys of
shards below `datasets/`, which are relative to the storage prefix. Contract: images/contracts/manifest.schema.json.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trainingrun_agent import __version__
from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.keys import LABEL_MAP, manifest_of
from trainingrun_agent.reasons.storage import MANIFEST_NOT_FOUND, NOT_A_MANIFEST
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place

HEADS_AT_ONCE = 8
RecordSplit = Literal["train", "eval"]
RECORD_ROLES: Mapping[RecordSplit, str] = {"train": "trainRecords", "eval": "evalRecords"}
"""Roles of the shards of a data set, by split."""
Kind = Literal["dataset", "checkpoint", "export"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ManifestObject:
    """One object of a manifest: `size` in bytes, `images` only for shards."""

    key: str
    size: int
    sha256: str
    role: str
    images: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As in images/contracts/manifest.schema.json."""
        document: dict[str, Any] = {
            "key": self.key,
            "size": self.size,
            "sha256": self.sha256,
            "role": self.role,
        }
        return document if self.images is None else {**document, "images": self.images}

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> ManifestObject:
        """Raises ValueError for a key that leads out of the folder or a bad size, KeyError or TypeError otherwise."""
        key, size, sha256 = item["key"], item["size"], item["sha256"]
        if not key or key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
            raise ValueError(f"key {key!r} is not a plain relative key")
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"size {size!r} of {key} is not a byte count")
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"sha256 of {key} is not a SHA-256")
        return cls(key, size, sha256, item["role"], item.get("images"))


@dataclass(frozen=True)
class Producer:
    """The pod that wrote the manifest."""

    pod_uid: str
    epoch: int
    agent_version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """As in images/contracts/manifest.schema.json."""
        return {"podUID": self.pod_uid, "epoch": self.epoch, "agentVersion": self.agent_version}


@dataclass(frozen=True)
class Manifest:
    """The content of a MANIFEST.json; `created` in RFC 3339, `step` for checkpoints and exports."""

    kind: Kind
    producer: Producer
    created: str
    objects: tuple[ManifestObject, ...]
    step: int | None = None
    dataset: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of the schema, without fields that are None."""
        document: dict[str, Any] = {
            "formatVersion": 1,
            "kind": self.kind,
            "producer": self.producer.to_json(),
            "created": self.created,
            "objects": [entry.to_json() for entry in self.objects],
        }
        optional = {"step": self.step, "dataset": self.dataset, "metrics": self.metrics}
        return document | {name: value for name, value in optional.items() if value is not None}

    def records(self, split: RecordSplit) -> list[ManifestObject]:
        """The shards of a split, in their order."""
        return [entry for entry in self.objects if entry.role == RECORD_ROLES[split]]

    def is_data_set(self, splits: Iterable[RecordSplit] = tuple(RECORD_ROLES)) -> bool:
        """Whether it names what training needs: one label map, and shards with images of these splits."""
        label_maps = [entry for entry in self.objects if entry.key == LABEL_MAP]
        images = [sum(entry.images or 0 for entry in self.records(split)) for split in splits]
        return self.kind == "dataset" and len(label_maps) == 1 and all(images)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Manifest:
        """Raises ValueError for anything but a manifest of version 1, and for keys that lead out of its folder."""
        try:
            return _parse(document)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def write(store: ObjectStore, folder: str, manifest: Manifest, *, if_absent: bool = False) -> bool:
    """Write `<folder>/MANIFEST.json`; with `if_absent`, False if there is one already."""
    return store.put(manifest_of(folder), documents.encode(manifest.to_json()), if_absent=if_absent)


def read(store: ObjectStore, key: str) -> Manifest:
    """Read the manifest at `key`. Raises NotFound, IntegrityError when it is not a manifest."""
    document = documents.read(store, key)
    if document is None:
        raise NotFound(MANIFEST_NOT_FOUND, place=Place(store.bucket, key))
    try:
        return Manifest.parse(document)
    except ValueError as error:
        raise IntegrityError(NOT_A_MANIFEST, place=Place(store.bucket, key), problem=error) from error


def first_missing(manifest: Manifest, exists: Callable[[ManifestObject], bool]) -> ManifestObject | None:
    """The first object of the manifest that does not exist, None if all do; several are asked for at once."""

    def missing(entry: ManifestObject) -> ManifestObject | None:
        return None if exists(entry) else entry

    with ThreadPoolExecutor(HEADS_AT_ONCE, thread_name_prefix="verify") as pool:
        return next(filter(None, pool.map(missing, manifest.objects)), None)


def _parse(document: Mapping[str, Any]) -> Manifest:
    if document["formatVersion"] != 1:
        raise ValueError(f"formatVersion {document['formatVersion']} is not known")
    if document["kind"] not in get_args(Kind):
        raise ValueError(f"kind {document['kind']!r} is not known")
    producer = document["producer"]
    return Manifest(
        kind=document["kind"],
        producer=Producer(producer["podUID"], producer["epoch"], producer["agentVersion"]),
        created=document["created"],
        objects=tuple(ManifestObject.parse(item) for item in document["objects"]),
        step=document.get("step"),
        dataset=document.get("dataset"),
        metrics=document.get("metrics"),
    )
