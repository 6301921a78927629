"""Shards made side by side: by processes where there is enough to do, else by this one.

Invariant: the first error ends all; results do not depend on who made what.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

from trainingrun_agent.ordered import STOP_POLL_SECONDS
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.sharding.job import ShardResult
from trainingrun_agent.prep.sharding.supervisor import READS_AT_ONCE, Feeder, Moved, Task
from trainingrun_agent.prep.sharding.worker_process import Maker, WorkerProcess, local_maker
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.stopping import raise_if_stopped

MAX_WORKERS = 4
FEW_IMAGES = 256
"""Checked before a process has started."""


def workers_for(images: int) -> int:
    """How many processes; 0 when they are not worth their start. Each takes some 60 MiB of memory."""
    return 0 if images <= FEW_IMAGES else min(MAX_WORKERS, cores())


def cores() -> int:
    """CPU cores this container may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no limit, or no such file
        return allowed


def make_all(
    tasks: Iterable[Callable[[], Task]],
    *,
    checker: Checker,
    network_input: NetworkInput,
    scratch: Path,
    workers: int,
    stop: threading.Event,
    moved: Moved,
    done: Callable[[Task, ShardResult], None],
) -> None:
    """Make every task's shard; `done` may be called by several threads at once.

    Raises what tasks raise, what storage raises, DiskFull, Interrupted.
    """
    halt = threading.Event()
    waiting = iter(tasks)
    lock = threading.Lock()

    def new_maker() -> Maker:
        return (WorkerProcess if workers else local_maker)(checker, network_input, scratch)

    def work(reads: ThreadPoolExecutor) -> None:
        with closing(Feeder(new_maker, reads, halt, moved)) as feeder:
            while (next_task := _next(waiting, lock)) is not None and not halt.is_set():
                task = next_task()
                done(task, feeder.make(task))

    hands = max(1, workers)
    with ThreadPoolExecutor(READS_AT_ONCE, "read") as reads, ThreadPoolExecutor(hands, "feed") as feeders:
        futures = [feeders.submit(work, reads) for _ in range(hands)]
        try:
            pending = set(futures)
            while pending:
                raise_if_stopped(stop)
                finished, pending = wait(pending, STOP_POLL_SECONDS, FIRST_EXCEPTION)
                for future in finished:
                    future.result()
        finally:
            halt.set()


def _next(waiting: Iterator[Callable[[], Task]], lock: threading.Lock) -> Callable[[], Task] | None:
    with lock:
        return next(waiting, None)
