"""Memory that workers share for the pixels of large images, as slots that are locked files.

Invariant: workers with one `scratch` hold at most a share of the container's memory at once, or one image that takes
more. A worker that dies gives its slots back.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from math import ceil
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.prep.image.images import LARGE

SLOT = LARGE
"""Bytes of a slot."""
SHARE = 4
"""Slots take one part in so many of the container's memory."""
UNLIMITED = 1 << 30
"""Bytes that a container without a limit counts as: the default limit of preparation."""
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files of cgroup v2 and v1."""


def slots() -> int:
    """How many slots there are; at least one."""
    return max(1, container_memory() // SHARE // SLOT)


def container_memory() -> int:
    """Bytes of memory that this container may use, UNLIMITED at most."""
    limit = UNLIMITED
    for path in LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            limit = min(limit, int(path.read_text()))
    return limit


@contextmanager
def reserved(memory: int, *, scratch: Path, count: int) -> Iterator[None]:
    """Hold as many of `count` slots as so many bytes need, at most all of them, until the block ends."""
    wanted = min(count, ceil(memory / SLOT))
    with ExitStack() as held:
        # One worker at a time collects slots: no two can wait for each other's.
        with _opened(scratch / "large.lock") as collecting:
            fcntl.flock(collecting, fcntl.LOCK_EX)
            files = [held.enter_context(_opened(scratch / f"large-{number}.lock")) for number in range(count)]
            taken = list(islice(filter(_try_lock, files), wanted))
            for file in [file for file in files if file not in taken][: wanted - len(taken)]:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> BinaryIO:
    return path.open("wb")


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
