"""What decoding alone allows: the same files, decoded as preparation does, and nothing else.

Preparation decodes to an eighth of the size, which reads the whole stream and so finds truncation. Processes have
started and imported when the clock starts.
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from PIL import Image


def images_per_second(folder: Path, *, processes: int) -> float:
    """Decode every JPEG of a folder once."""
    paths = sorted(folder.glob("*.jpg"))
    context = multiprocessing.get_context("spawn")
    start, end = context.Barrier(processes + 1), context.Barrier(processes + 1)
    workers = [
        context.Process(target=_decode, args=(paths[at::processes], start, end), daemon=True) for at in range(processes)
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


def _decode(paths: Sequence[Path], start: Barrier, end: Barrier) -> None:
    try:
        start.wait()
        for path in paths:
            with Image.open(io.BytesIO(path.read_bytes()), formats=("JPEG",)) as image:
                image.draft(None, (1, 1))
                image.load()
        end.wait()
    except BaseException:
        end.abort()  # else everybody would wait for this one
        raise
