"""How fast preparation checks images, and how little memory it needs however many there are.

Each size runs in a process of its own against a bucket that makes its images on demand, so that neither a disk nor a
server is measured.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.config import Source
from trainingrun_agent.errors import NotFound
from trainingrun_agent.prep.prepare import prepare
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectInfo
from trbench.numbers import Echo, Number
from trdemo.tires import draw_set

BUCKET = "bench"
SIZES = (1000, 10_000, 30_000)
DISTINCT = 64  # pictures that are repeated, each time with bytes of its own behind its end
EVAL = 50


class EndlessBucket:
    """A bucket whose images follow from their number; what is written is counted and forgotten."""

    bucket = BUCKET

    def __init__(self, images: int) -> None:
        self._counts = {"train/": images, "eval/": EVAL}
        self._photos = list(draw_set(DISTINCT, seed=1, prefix="bench"))
        self._documents: dict[str, bytes] = {}
        self.written = 0

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """The keys of a split in their order."""
        assert not start_after
        assert limit is None
        for number in range(self._counts.get(prefix, 0)):
            for suffix in ("jpg", "xml"):
                key = f"{prefix}{number:07d}.{suffix}"
                yield ObjectInfo(key, len(self._body(key)), hashlib.md5(key.encode()).hexdigest(), datetime.now(UTC))  # noqa: S324

    def head(self, key: str) -> ObjectInfo | None:
        """Nothing was there before."""
        return None

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """An image, an annotation or a document written earlier."""
        if key.startswith("datasets/"):
            if key not in self._documents:
                raise NotFound(f"{key} does not exist")
            return self._documents[key]
        return self._body(key)

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """A part of `get`."""
        return self.get(key, max_bytes=sys.maxsize)[start : start + length]

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Keep a document."""
        self._documents[key] = data
        return True

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """Read and forget."""
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            self.written += len(chunk)
        return digest.hexdigest()

    def download(
        self, key: str, path: Path, *, size: int, sha256: str | None, on_bytes: Callable[[int], None] | None = None
    ) -> str:
        """Preparation downloads nothing to disk."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Nothing is kept that needs it."""

    def _body(self, key: str) -> bytes:
        photo = self._photos[int(key[-11:-4]) % DISTINCT]
        return photo.jpeg + key.encode() if key.endswith(".jpg") else photo.xml


def measure(echo: Echo) -> Iterator[Number]:
    """Speed and memory of every size."""
    for images in SIZES:
        echo(f"{images} images")
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, images))
        process.start()
        sender.close()
        try:
            seconds, before, after = receiver.recv()
        finally:
            process.join()
        yield Number(f"{images} images", images / seconds, "images/s", detail=f"{seconds:.1f} s")
        yield Number(f"memory for {images} images", after, "MiB", detail=f"peak, of which {before:.0f} before")


def _child(sender: Connection, images: int) -> None:
    """Prepare a data set of this size; sends seconds and the peaks of memory before and after."""
    bucket = EndlessBucket(images)
    before = _peak()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(
            train=Source(BUCKET, "train/"),
            eval=Source(BUCKET, "eval/"),
            split=None,
            network="ssd_inception_v2",
            store_for=lambda _: bucket,
            out_store=bucket,
            datasets_prefix="datasets",
            classes=("tire",),
            max_bad_files="0",
            max_image_side=1024,
            scratch=Path(scratch),
            progress=Progress(stage="prep", pod_uid="bench"),
            stop=threading.Event(),
        )
    assert prepared.train_images == images
    sender.send((time.monotonic() - started, before, _peak()))


def _peak() -> float:
    """Peak of this process's resident set in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
