"""Decode the same JPEG files as preparation does and nothing else: an upper bound for the speed of preparation.

Preparation decodes brightness at an eighth of the size, which reads the whole stream and so detects truncation. The
clock starts when all processes have started and imported. A second bound, `minimal`, also does what preparation cannot
leave out, in C and without checking anything: parse the XML, hash the image and its record, write the record.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from lxml import etree
from PIL import Image

from trainingrun_agent.prep.image.images import LOOKED_AT


def images_per_second(folder: Path, *, processes: int, minimal: bool = False) -> float:
    """Decode every JPEG of a folder once; with `minimal`, also do the other work that cannot be left out."""
    paths = sorted(folder.glob("*.jpg"))
    context = multiprocessing.get_context("spawn")
    start, end = context.Barrier(processes + 1), context.Barrier(processes + 1)
    workers = [
        context.Process(target=_work, args=(paths[at::processes], start, end, minimal), daemon=True)
        for at in range(processes)
    ]
    for worker in workers:
        worker.start()
    start.wait()
    started = time.monotonic()
    end.wait()
    seconds = time.monotonic() - started
    for worker in workers:
        worker.join()
    return len(paths) / seconds


def _work(paths: Sequence[Path], start: Barrier, end: Barrier, minimal: bool) -> None:
    try:
        with tempfile.TemporaryFile(dir=paths[0].parent.parent) as out:
            start.wait()
            for path in paths:
                data = path.read_bytes()
                _decode(data)
                if minimal:
                    etree.fromstring(path.with_suffix(".xml").read_bytes())
                    hashlib.sha256(data).digest()
                    hashlib.sha256(data).digest()
                    out.write(data)
        end.wait()
    except BaseException:
        end.abort()  # otherwise all others would wait for this process
        raise


def _decode(data: bytes) -> None:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.draft("L", (LOOKED_AT, LOOKED_AT))
        image.load()
