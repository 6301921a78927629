"""Preparation from a bucket to the same bucket, against its two halves: the same from disk, and reading the same keys.

The server runs on this machine. Where it shares the cores with the agent, its CPU adds up with that of both halves,
which that of a server on another machine does not; so the limit is for the server on cores of its own, and the agent on
the others. Cores of a virtual machine may be two threads of one physical core, and then share its units all the same.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic

from trainingrun_agent.prep.sharding.supervisor import READS_AT_ONCE
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trbench.alone import alone
from trbench.numbers import Comparison, Echo, Number, compare
from trbench.photos import Photos
from trbench.pod import POD, open_store
from trbench.preparing import prepare
from trbench.server import on_cores, s3_server
from trdemo.bucket import Bucket
from trdemo.place import Storage

BUCKET, PREFIX = "bench", "images/"
LIMIT = 1.25
PAIRS = 5
MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class _Cores:
    """Who runs where; on all cores where none is named."""

    name: str
    agent: Collection[int] = ()
    server: Collection[int] = ()


def measure(photos: Photos, local: Callable[[], float], echo: Echo) -> Iterator[Number]:
    """`local` is the time of the same from folder to folder, workers' start included."""
    found = yield from _compared(_Cores("shared"), photos, local, echo)
    would = f"not judged: with the server elsewhere the limit is {LIMIT:g} x"
    yield Number("bucket to bucket over the slower half, shared", found.ratio, "x", detail=would)
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if not half:
        yield Number("cores to keep the server apart: skipped", len(cores), "", detail="takes two; nothing is judged")
        return
    found = yield from _compared(_Cores("apart", cores[:half], cores[half:]), photos, local, echo)
    told = f"agent on {half} of the cores, server on {len(cores) - half}"
    yield Number("bucket to bucket over the slower half, apart", found.ratio, "x", LIMIT, told)


def _compared(
    cores: _Cores, photos: Photos, local: Callable[[], float], echo: Echo
) -> Generator[Number, None, Comparison]:
    with s3_server(echo, cores=cores.server) as (storage, files), on_cores(cores.agent):
        bucket = Bucket(storage, BUCKET)
        bucket.create()
        keys = [f"{PREFIX}{path.name}" for path in sorted(photos.folder.iterdir())]
        echo(f"cores {cores.name}: uploading {len(keys)} objects")
        alone(_upload, storage, files, photos.folder)
        parts: list[tuple[float, float]] = []
        turn = count()

        def halves() -> float:
            parts.append((local(), alone(_read, storage, files, keys)))
            echo(f"from folder to folder {parts[-1][0]:.2f} s, reading alone {parts[-1][1]:.2f} s")
            return max(parts[-1])

        def whole() -> float:
            seconds = alone(_prepare, storage, files, photos.classes, f"turn-{next(turn)}")
            echo(f"from bucket to bucket {seconds:.2f} s")
            return seconds

        found = compare(whole, halves, pairs=PAIRS)
    disk, reading = (statistics.median(part) for part in zip(*parts, strict=True))
    yield Number(f"from folder to folder, {cores.name}", disk, "s")
    yield Number(f"reading {len(keys):,} keys, {cores.name}", reading, "s", detail=f"{READS_AT_ONCE} threads")
    yield Number(f"from bucket to bucket, {cores.name}", found.ours, "s")
    return found


def _upload(storage: Storage, files: Path, folder: Path) -> None:
    store = _open(storage, files)

    def send(path: Path) -> None:
        with path.open("rb") as file:
            store.upload(f"{PREFIX}{path.name}", file, size=path.stat().st_size)

    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        list(pool.map(send, folder.iterdir()))


def _read(storage: Storage, files: Path, keys: Sequence[str]) -> float:
    store = _open(storage, files)
    started = monotonic()
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        for _ in pool.map(lambda key: len(store.get(key, max_bytes=MAX_BYTES)), keys):
            pass
    return monotonic() - started


def _prepare(storage: Storage, files: Path, classes: Sequence[str], prefix: str) -> float:
    store = _open(storage, files)
    return prepare(store, PREFIX, store, classes, files, out_prefix=prefix).seconds


def _open(storage: Storage, files: Path) -> ObjectStore:
    """The clocks start after its first answer, which every pod asks for before anything else."""
    progress = Progress(stage="prep", pod_uid=POD)
    store = open_store(storage, BUCKET, files, progress=progress, stop=threading.Event())
    store.head(PREFIX)
    return store
