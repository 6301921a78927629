"""MANIFEST.json: a complete, immutable set of objects, written last. Contract:
images/contracts/manifest.schema.json.

Invariant: readers trust manifests only. A parsed manifest holds no key that leaves its folder, except shards
below `datasets/`, which count from the storage prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trainingrun_agent import __version__
from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.keys import BucketKeys, manifest_of
from trainingrun_agent.reasons.storage import MANIFEST_NOT_FOUND, NOT_A_MANIFEST
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place

HEADS_AT_ONCE = 8
Kind = Literal["dataset", "checkpoint", "export"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ManifestObject:
    """One object: `size` in bytes, `images` only for shards."""

    key: str
    size: int
    sha256: str
    role: str
    images: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As in the schema."""
        document: dict[str, Any] = {
            "key": self.key,
            "size": self.size,
            "sha256": self.sha256,
            "role": self.role,
        }
        return document if self.images is None else {**document, "images": self.images}

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> ManifestObject:
        """Raises ValueError for a key that escapes or no sizes; KeyError, TypeError for what is no object at all."""
        key, size, sha256 = item["key"], item["size"], item["sha256"]
        if not key or key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
            raise ValueError(f"key {key!r} is not a plain relative key")
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"size {size!r} of {key} is no byte count")
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"sha256 of {key} is no SHA-256")
        return cls(key, size, sha256, item["role"], item.get("images"))


@dataclass(frozen=True)
class Producer:
    """The pod that made it."""

    pod_uid: str
    epoch: int
    agent_version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """As in the schema."""
        return {"podUID": self.pod_uid, "epoch": self.epoch, "agentVersion": self.agent_version}


@dataclass(frozen=True)
class Manifest:
    """`created` in RFC 3339; `step` for checkpoints and exports."""

    kind: Kind
    producer: Producer
    created: str
    objects: tuple[ManifestObject, ...]
    step: int | None = None
    dataset: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As in the schema; what is None is left out."""
        document: dict[str, Any] = {
            "formatVersion": 1,
            "kind": self.kind,
            "producer": self.producer.to_json(),
            "created": self.created,
            "objects": [entry.to_json() for entry in self.objects],
        }
        optional = {"step": self.step, "dataset": self.dataset, "metrics": self.metrics}
        return document | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Manifest:
        """Raises ValueError when the document is no manifest of version 1, or has a key that escapes."""
        try:
            return _parse(document)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def write(store: ObjectStore, folder: str, manifest: Manifest, *, if_absent: bool = False) -> bool:
    """Write `<folder>/MANIFEST.json`; with `if_absent`, False when another pod's is there already."""
    return store.put(manifest_of(folder), documents.encode(manifest.to_json()), if_absent=if_absent)


def read(store: ObjectStore, key: str) -> Manifest:
    """Read the manifest at an absolute key. Raises NotFound, IntegrityError when it is none."""
    document = documents.read(store, key)
    if document is None:
        raise NotFound(MANIFEST_NOT_FOUND, place=Place(store.bucket, key))
    try:
        return Manifest.parse(document)
    except ValueError as error:
        raise IntegrityError(NOT_A_MANIFEST, place=Place(store.bucket, key), problem=error) from error


def missing(store: ObjectStore, manifest: Manifest, *, folder: str, keys: BucketKeys) -> str | None:
    """The absolute key of an object that is gone or has another size, None when the manifest can be believed."""

    def lacks(entry: ManifestObject) -> str | None:
        key = keys.manifest_entry(entry.key, folder=folder)
        info = store.head(key)
        return None if info is not None and info.size == entry.size else key

    with ThreadPoolExecutor(HEADS_AT_ONCE, thread_name_prefix="verify") as pool:
        return next(filter(None, pool.map(lacks, manifest.objects)), None)


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
