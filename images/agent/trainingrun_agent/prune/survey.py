"""What lies below datasets/, and which runs need which of it.

Invariant: runs are looked at last, so that their pointers are newer than what is known about data sets. A manifest or a
run's result that cannot be read ends the survey with IntegrityError. Objects of unknown names are ignored.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.keys import BucketKeys, DatasetObject, RunKeys, is_manifest, manifest_of
from trainingrun_agent.prep.store import previous
from trainingrun_agent.reasons.storage import NOT_A_DOCUMENT
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import manifest, results
from trainingrun_agent.storage.base import ObjectInfo, ObjectStore
from trainingrun_agent.storage.subfolders import subfolders
from trainingrun_agent.terms import Place


@dataclass
class DataSet:
    """A data set's folder: its objects, and the keys that its manifest names, None without a manifest."""

    objects: list[ObjectInfo] = field(default_factory=list)
    names: frozenset[str] | None = None

    @property
    def modified(self) -> datetime:
        """When the manifest was written, which comes last; without one, when the newest object was written."""
        manifests = [info for info in self.objects if is_manifest(info.key)]
        return max(info.modified for info in manifests or self.objects)


@dataclass
class Survey:
    """`data_sets` and `failed` reports are by digest.

    `pointers` are the lists of the latest shards, each with the keys that it names, `unfinished` the lists of
    preparations that have not ended, `marks` those of damaged objects, each with the key of that object. `runs` has the
    digest of the data set that each prepared run points to, `unprepared` when the last pod of every other run began.
    """

    data_sets: dict[str, DataSet] = field(default_factory=dict)
    blobs: list[ObjectInfo] = field(default_factory=list)
    failed: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    pointers: list[tuple[ObjectInfo, frozenset[str]]] = field(default_factory=list)
    unfinished: list[ObjectInfo] = field(default_factory=list)
    marks: list[tuple[ObjectInfo, str]] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    unprepared: dict[str, datetime] = field(default_factory=dict)


def survey(store: ObjectStore, keys: BucketKeys, *, stop: threading.Event) -> Survey:
    """List everything below datasets/ and runs/. Raises IntegrityError, what storage raises, Interrupted."""
    found = Survey()
    for number, info in enumerate(store.list(f"{keys.datasets}/")):
        if number % 1000 == 0:
            raise_if_stopped(stop)
        _add_object(found, info, keys)
    for digest, data_set in found.data_sets.items():
        raise_if_stopped(stop)
        data_set.names = _named_by_manifest(store, keys, digest)
    found.pointers = [(info, _named_by_pointer(store, keys, info)) for info, _ in found.pointers]
    for folder in subfolders(store, keys.runs, depth=2):
        raise_if_stopped(stop)
        _add_run(store, found, RunKeys(folder), name=folder[len(keys.runs) + 1 :])
    return found


def _add_object(found: Survey, info: ObjectInfo, keys: BucketKeys) -> None:
    match keys.parse_dataset_object(info.key):
        case DatasetObject("blob"):
            found.blobs.append(info)
        case DatasetObject("latest"):
            found.pointers.append((info, frozenset()))
        case DatasetObject("unfinished"):
            found.unfinished.append(info)
        case DatasetObject("damaged"):
            found.marks.append((info, keys.marked_as_damaged(info.key)))
        case DatasetObject("failed", digest):
            found.failed.setdefault(digest, []).append(info)
        case DatasetObject("dataset", digest):
            found.data_sets.setdefault(digest, DataSet()).objects.append(info)


def _named_by_manifest(store: ObjectStore, keys: BucketKeys, digest: str) -> frozenset[str] | None:
    folder = keys.dataset(digest)
    try:
        found = manifest.read(store, manifest_of(folder))
    except NotFound:
        return None
    return frozenset(keys.manifest_entry(entry.key, folder=folder) for entry in found.objects)


def _named_by_pointer(store: ObjectStore, keys: BucketKeys, info: ObjectInfo) -> frozenset[str]:
    """The keys that a list of latest shards names; none when it cannot be read, which is harmless."""
    try:
        shards = previous.read(store, info.key).shards
    except previous.UNREADABLE:
        return frozenset()
    made = (one for split in shards.values() for one in split if one is not None)
    return frozenset(keys.absolute(entry.key) for one in made for entry in one.objects)


def _add_run(store: ObjectStore, found: Survey, run: RunKeys, *, name: str) -> None:
    result = results.read_result(store, run, "prep")
    if result is None:
        claimed = [info.modified for info in store.list(f"{run.epochs}/")]
        if claimed:
            found.unprepared[name] = max(claimed)
        return
    digest = BucketKeys.parse_dataset_manifest(str(result["manifestKey"]))
    if digest is None:
        problem = f"points to {result['manifestKey']!r}, which is not a data set"
        raise IntegrityError(NOT_A_DOCUMENT, place=Place(store.bucket, run.result("prep")), problem=problem)
    found.runs[name] = digest
