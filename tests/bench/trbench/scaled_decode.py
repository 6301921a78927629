"""Decode photos, scale them down and encode them, all in C and nothing else: a bound for the speed of preparation.

`python3 -m trbench.scaled_decode FOLDER PROCESSES MAX_SIDE LOOKED_AT` prints the seconds without start-up. What is done
to a photo is what preparation does to its pixels: one that is small enough is decoded as in decode_only.py. This module
imports Pillow only, and the processes are forks, so that its start is as short as it can be.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

QUALITY = 95


def main() -> None:
    """Do the work in several processes."""
    folder, processes, max_side, looked_at = sys.argv[1], *map(int, sys.argv[2:])
    paths = sorted(Path(folder).glob("*.jpg"))
    started = time.monotonic()
    children = [_fork(paths[at::processes], max_side, looked_at) for at in range(processes)]
    ends = [os.waitpid(child, 0)[1] for child in children]
    seconds = time.monotonic() - started
    if any(ends):
        sys.exit(f"processes ended with {ends}")
    sys.stdout.write(f"{seconds}\n")


def _fork(paths: Sequence[Path], max_side: int, looked_at: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        for path in paths:
            _work(path.read_bytes(), max_side, looked_at)
    except BaseException as error:  # noqa: BLE001 - the process ends here, whatever it is
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def _work(data: bytes, max_side: int, looked_at: int) -> None:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        scale = max_side / max(image.size)
        if scale >= 1:
            image.draft("L", (looked_at, looked_at))
            image.load()
            return
        size = round(image.width * scale), round(image.height * scale)
        image.draft(None, size)
        image.resize(size, Image.Resampling.LANCZOS).save(io.BytesIO(), "JPEG", quality=QUALITY)


if __name__ == "__main__":
    main()
