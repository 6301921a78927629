"""What lies below datasets/, and which runs need which of it.

Invariant: runs are looked at last, so that what they point to is newer than what is known of data sets; a manifest or
a run's result that cannot be read ends the survey with IntegrityError. Objects of unknown names are left out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.prep.store import previous as earlier
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import manifest, results
from trainingrun_agent.storage.base import ObjectInfo, ObjectStore

_DIGEST = re.compile(r"[0-9a-f]{64}")
_AFTER_SLASH = "0"
"""The character after "/": a folder's name with it sorts after everything in the folder."""


@dataclass
class DataSet:
    """A folder of a data set: its objects, and the absolute keys that its manifest names.

    `names` is None without a manifest.
    """

    objects: list[ObjectInfo] = field(default_factory=list)
    names: frozenset[str] | None = None

    @property
    def modified(self) -> datetime:
        """Of the manifest, which is written last; without one, of the newest object."""
        written = [info for info in self.objects if info.key.endswith(f"/{manifest.NAME}")]
        return max(info.modified for info in written or self.objects)


@dataclass
class Survey:
    """`data_sets` and `failed` are by digest.

    `pointers` have the absolute keys that they name; `runs` the digest of the data set that a run points to, and
    `unprepared` when the last pod of a run without one began.
    """

    data_sets: dict[str, DataSet] = field(default_factory=dict)
    blobs: list[ObjectInfo] = field(default_factory=list)
    failed: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    pointers: list[tuple[ObjectInfo, frozenset[str]]] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    unprepared: dict[str, datetime] = field(default_factory=dict)


def survey(store: ObjectStore, prefix: str, *, stop: threading.Event) -> Survey:
    """Look at everything; `prefix` is the storage prefix without slashes at its ends.

    Raises IntegrityError, what storage raises, Interrupted.
    """
    found = Survey()
    base = f"{prefix}/" if prefix else ""
    for number, info in enumerate(store.list(f"{base}datasets/")):
        if number % 1000 == 0:
            raise_if_stopped(stop)
        _sort_in(found, info, info.key[len(f"{base}datasets/") :])
    for digest, data_set in found.data_sets.items():
        raise_if_stopped(stop)
        data_set.names = _named(store, f"{base}datasets/{digest}", prefix)
    found.pointers = [(info, _pointed_to(store, info, base)) for info, _ in found.pointers]
    for run in _runs(store, f"{base}runs/"):
        raise_if_stopped(stop)
        _look_at_run(store, found, run, name=run[len(f"{base}runs/") :])
    return found


def _sort_in(found: Survey, info: ObjectInfo, path: str) -> None:
    first, _, rest = path.partition("/")
    if first == "blobs":
        found.blobs.append(info)
    elif first == "latest" and rest.endswith(".json"):
        found.pointers.append((info, frozenset()))
    elif first == "failed" and _DIGEST.fullmatch(rest.partition("/")[0]):
        found.failed.setdefault(rest.partition("/")[0], []).append(info)
    elif _DIGEST.fullmatch(first) and rest:
        found.data_sets.setdefault(first, DataSet()).objects.append(info)


def _named(store: ObjectStore, folder: str, prefix: str) -> frozenset[str] | None:
    try:
        found = manifest.read(store, f"{folder}/{manifest.NAME}")
    except NotFound:
        return None
    return frozenset(manifest.object_key(entry, folder=folder, prefix=prefix) for entry in found.objects)


def _pointed_to(store: ObjectStore, info: ObjectInfo, base: str) -> frozenset[str]:
    """The keys that a pointer names; none when it cannot be read, which harms nobody."""
    try:
        shards = earlier.read(store, info.key)
    except earlier.UNREADABLE:
        return frozenset()
    return frozenset(base + entry.key for split in shards.values() for made in split for entry in made.objects)


def _runs(store: ObjectStore, base: str) -> Iterator[str]:
    """The folder of every run, without a slash at its end; one request each."""
    after = ""
    while (first := next(iter(store.list(base, start_after=after, limit=1)), None)) is not None:
        namespace, _, rest = first.key[len(base) :].partition("/")
        name, slash, _ = rest.partition("/")
        if slash:
            yield f"{base}{namespace}/{name}"
            after = f"{base}{namespace}/{name}{_AFTER_SLASH}"
        else:  # no run
            after = first.key


def _look_at_run(store: ObjectStore, found: Survey, run: str, *, name: str) -> None:
    result = results.read_result(store, run, "prep")
    if result is None:
        claimed = [info.modified for info in store.list(f"{run}/epochs/")]
        if claimed:
            found.unprepared[name] = max(claimed)
        return
    folder, _, digest = str(result["manifestKey"]).removesuffix(f"/{manifest.NAME}").rpartition("/")
    if folder != "datasets" or not _DIGEST.fullmatch(digest):
        raise IntegrityError(
            f"s3://{store.bucket}/{results.result_key(run, 'prep')} points to {result['manifestKey']!r}, which is no"
            " data set",
            hint="Something other than this agent wrote it: look at it, and delete it if it is not needed.",
        )
    found.runs[name] = digest
