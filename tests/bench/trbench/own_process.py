"""Work in a process of its own, and what its memory was meanwhile.

Invariant: nothing that was measured before weighs on it; an error of the process is one of the caller.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar, cast

from trcluster import ClusterError

SAMPLE_SECONDS = 0.2
T = TypeVar("T")


class Memory:
    """Proportional set size in MiB: what processes share counts once in the sum of all."""

    def __init__(self) -> None:
        self.peak = 0.0
        self.most = 0
        """Processes seen at once."""

    def look(self, pid: int) -> None:
        """Sample a process and all that it started."""
        family = list(_family(pid))
        self.peak = max(self.peak, sum(map(_pss, family)) / 1024)
        self.most = max(self.most, len(family))

    @contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Sample until the block is left."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(SAMPLE_SECONDS):
                self.look(pid)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def in_own_process(work: Callable[..., T], *arguments: Any, memory: Memory | None = None) -> T:
    """What `work(*arguments)` returns in a new process, sampled by any `memory`. Raises ClusterError when it dies."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        with memory.watching(process.pid or 0) if memory else nullcontext():  # sampling takes CPU
            return cast("T", receiver.recv())
    except EOFError as error:
        raise ClusterError(f"the process of {work.__name__} failed, see above") from error
    finally:
        process.join()


def _child(sender: Connection, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    sender.send(work(*arguments))


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _pss(pid: int) -> int:
    """In KiB; 0 of a process that is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
