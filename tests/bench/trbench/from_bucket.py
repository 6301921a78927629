"""Compare preparation from bucket to bucket with its two parts: the same from disk, and reading the same keys.

The S3 server runs on this machine. When it shares cores with the agent, its CPU time adds to that of preparation, which
the CPU time of a remote server would not. So the limit applies to the server on separate cores, `apart`. Two cores of a
virtual machine may be threads of one physical core; then they still slow each other down.
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
from trbench.agent_store import POD, open_store
from trbench.measurements import Comparison, Echo, Measurement, compare
from trbench.own_process import in_own_process
from trbench.photos import Photos
from trbench.s3_server import on_cores, s3_server
from trbench.timed_prepare import prepare
from trdemo.bucket import Bucket
from trdemo.target import Storage

BUCKET, PREFIX = "bench", "images/"
LIMIT = 1.25
PAIRS = 5
MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class _Cores:
    """Cores of the agent and of the server; empty means all."""

    name: str
    agent: Collection[int] = ()
    server: Collection[int] = ()


def measure(photos: Photos, local: Callable[[], float], echo: Echo) -> Iterator[Measurement]:
    """Measure with shared and with separate cores; `local` measures the same preparation from folder to folder."""
    found = yield from _compared(_Cores("shared"), photos, local, echo, pairs=PAIRS)
    detail = f"no limit here; with the server on separate cores it is {LIMIT:g} x"
    yield Measurement("bucket to bucket over the slower part, shared", found.ratio, "x", detail=detail)
    yield from measure_apart(photos, local, echo, pairs=PAIRS)


def measure_apart(photos: Photos, local: Callable[[], float], echo: Echo, *, pairs: int) -> Iterator[Measurement]:
    """Measure with separate cores only."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if not half:
        yield Measurement("cores for a separate server: skipped", len(cores), "", detail="needs two cores")
        return
    found = yield from _compared(_Cores("apart", cores[:half], cores[half:]), photos, local, echo, pairs=pairs)
    detail = f"agent on {half} of the cores, server on {len(cores) - half}"
    yield Measurement("bucket to bucket over the slower part, apart", found.ratio, "x", LIMIT, detail)


def _compared(
    cores: _Cores, photos: Photos, local: Callable[[], float], echo: Echo, *, pairs: int
) -> Generator[Measurement, None, Comparison]:
    with s3_server(echo, cores=cores.server) as (storage, files), on_cores(cores.agent):
        bucket = Bucket(storage, BUCKET)
        bucket.create()
        keys = [f"{PREFIX}{path.name}" for path in sorted(photos.folder.iterdir())]
        echo(f"cores {cores.name}: uploading {len(keys)} objects")
        in_own_process(_upload, storage, files, photos.folder)
        parts: list[tuple[float, float]] = []
        turn = count()

        def slower_part() -> float:
            parts.append((local(), in_own_process(_read, storage, files, keys)))
            echo(f"from folder to folder {parts[-1][0]:.2f} s, reading alone {parts[-1][1]:.2f} s")
            return max(parts[-1])

        def whole() -> float:
            seconds = in_own_process(_prepare, storage, files, photos.classes, f"turn-{next(turn)}")
            echo(f"from bucket to bucket {seconds:.2f} s")
            return seconds

        found = compare(whole, slower_part, pairs=pairs)
    disk, reading = (statistics.median(part) for part in zip(*parts, strict=True))
    yield Measurement(f"from folder to folder, {cores.name}", disk, "s")
    yield Measurement(f"reading {len(keys):,} keys, {cores.name}", reading, "s", detail=f"{READS_AT_ONCE} threads")
    yield Measurement(f"from bucket to bucket, {cores.name}", found.ours, "s")
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
    """Open the bucket and wait for a first answer, as every pod does, before the clock starts."""
    progress = Progress(stage="prep", pod_uid=POD)
    store = open_store(storage, BUCKET, files, progress=progress, stop=threading.Event())
    store.head(PREFIX)
    return store
