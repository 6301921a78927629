"""Call a function in a new process and measure the memory that it uses.

Invariant: earlier measurements do not influence the new process; when it fails, the caller gets an error.
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
    """Peak proportional set size (PSS) of a process tree in MiB; memory that processes share counts once."""

    def __init__(self) -> None:
        self.peak = 0.0
        self.max_processes = 0
        """Largest number of processes at the same time."""

    def sample(self, pid: int) -> None:
        """Sample a process and its descendants once."""
        family = list(_family(pid))
        self.peak = max(self.peak, sum(map(_pss, family)) / 1024)
        self.max_processes = max(self.max_processes, len(family))

    @contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Sample repeatedly until the block ends."""
        finished = threading.Event()

        def work() -> None:
            while not finished.wait(SAMPLE_SECONDS):
                self.sample(pid)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()


def in_own_process(work: Callable[..., T], *arguments: Any, memory: Memory | None = None) -> T:
    """Call `work(*arguments)` in a new process, sampled by `memory`, if given; ClusterError when it fails."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        with (
            memory.watching(process.pid or 0) if memory else nullcontext()
        ):  # sampling costs CPU time, so only on request
            return cast("T", receiver.recv())
    except EOFError as error:
        raise ClusterError(f"the process of {work.__name__} failed, its error is above") from error
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
    """PSS of a process in KiB; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
