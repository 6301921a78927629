"""Prepare a data set and measure the time from inside the process.

`python3 -m trbench.timed_prepare IMAGES OUT CLASS...` prepares from folder to folder. Invariant: the agent's own code
prepares, and this module imports only what the agent imports too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from trainingrun_agent.config import Dataset, Source
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep import prepare as prep
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.prep.sharding import pool
from trainingrun_agent.prep.sharding.job import ShardJob
from trainingrun_agent.prep.sharding.worker_process import RemoteShard, WorkerProcess
from trainingrun_agent.prep.source.listing import scan
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.manifest import RECORD_ROLES, Producer

MAX_SIDE = 1024
"""Pixels of the longer side of a picture in a record, as by default."""


@dataclass(frozen=True)
class Outcome:
    """`seconds` in total, `start` of them until all workers had answered once; `cpu` seconds of all processes."""

    images: int
    seconds: float
    start: float
    cpu: float
    manifest_key: str

    @property
    def work(self) -> float:
        """Seconds without the start of the workers."""
        return self.seconds - self.start


def prepare(
    source: ObjectStore,
    prefix: str,
    out: ObjectStore,
    classes: Sequence[str],
    scratch: Path,
    *,
    out_prefix: str = "",
) -> Outcome:
    """Prepare everything below `prefix` for training; the data set is written below the storage prefix `out_prefix`."""
    vars(pool)["WorkerProcess"] = _Timed
    used, started = _cpu(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=scratch) as folder:
        train = Source(source.bucket, prefix)
        prepared = prep.prepare(
            PrepareRequest(
                dataset=Dataset(train, None, None, tuple(classes), max_bad_files="1%", max_image_side=MAX_SIDE),
                network="ssd_inception_v2",
                store_for=lambda _: source,
                out=out,
                keys=BucketKeys(out_prefix),
                producer=Producer("bench", 0),
                scratch=Path(folder),
                progress=Progress(stage="prep", pod_uid="bench"),
                stop=threading.Event(),
            )
        )
    seconds = time.monotonic() - started
    start = max(_Timed.seconds, default=0.0)
    return Outcome(prepared.train_images, seconds, start, _cpu() - used, prepared.manifest_key)


def _cpu() -> float:
    """CPU seconds of this process and of its finished workers."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def list_only(source: ObjectStore, prefix: str) -> float:
    """List the images only; returns the seconds it took."""
    started = time.monotonic()
    progress = Progress(stage="prep", pod_uid="bench")
    scan(source, Source(source.bucket, prefix), split="train", progress=progress, stop=threading.Event())
    return time.monotonic() - started


def shards_of(store: ObjectStore, outcome: Outcome) -> Iterator[str]:
    """List the keys of a data set's TFRecord files."""
    for entry in manifest.read(store, outcome.manifest_key).objects:
        if entry.role in RECORD_ROLES.values():
            yield entry.key


class _Timed(WorkerProcess):
    """Measures how long the process took to start: until its first answer."""

    seconds: list[float] = []  # noqa: RUF012 - shared by all workers of this process

    def __init__(self, *arguments: object) -> None:
        self._started: float | None = time.monotonic()
        super().__init__(*arguments)  # type: ignore[arg-type]

    def open(self, job: ShardJob) -> RemoteShard:
        shard = super().open(job)
        if self._started is not None:
            self.seconds.append(time.monotonic() - self._started)
            self._started = None
        return shard


def main() -> None:
    """Prepare from folder to folder and print the outcome as JSON."""
    images, out, *classes = sys.argv[1:]
    outcome = prepare(FolderStore(Path(images)), "", FolderStore(Path(out)), classes, Path(out))
    sys.stdout.write(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
