"""Runs shard tasks in several worker processes, or in this process if there is little to decode.

Invariant: the first error ends all workers; results do not depend on which worker ran which task.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from trainingrun_agent.ordered import STOP_POLL_SECONDS
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.sharding.job import Worker
from trainingrun_agent.prep.sharding.memory_slots import container_memory
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.sharding.supervisor import READS_AT_ONCE, OnChecked, ShardTask, Supervisor
from trainingrun_agent.prep.sharding.worker import ShardWorker
from trainingrun_agent.prep.sharding.worker_process import WorkerProcess
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.stopping import raise_if_stopped

MAX_WORKERS = 4
WORKER_MEMORY = 112 << 20
"""Bytes of memory for each worker: it takes about 60 MiB, and holds some images, as the main process does for it."""
FEW_IMAGES, FEW_BYTES = 256, 8 << 20
"""So many are checked before processes have started: small images cost most by their number, large ones by their bytes.
"""
_CGROUP, _CGROUP_1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu")
QUOTAS = ((_CGROUP / "cpu.max",), (_CGROUP_1 / "cpu.cfs_quota_us", _CGROUP_1 / "cpu.cfs_period_us"))
"""Files of cgroup v2 and v1, with microseconds of CPU in each period, and the period."""


def workers_for(images: int, size: int) -> int:
    """Number of worker processes for so many images with so many bytes in all; 0 if they are not worth their start."""
    return 0 if images <= FEW_IMAGES and size <= FEW_BYTES else most_workers()


def most_workers() -> int:
    """The most worker processes of a preparation, each of which has a core and memory."""
    return max(1, min(MAX_WORKERS, cores(), container_memory() // WORKER_MEMORY))


def cores() -> int:
    """CPU cores that this container may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    for files in QUOTAS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            quota, period = map(int, " ".join([path.read_text() for path in files]).split())
            if quota > 0 and period > 0:  # -1 is no limit
                allowed = min(allowed, max(1, round(quota / period)))
    return allowed


def run_all(
    tasks: Iterable[Callable[[], ShardTask]],
    *,
    checker: Checker,
    network_input: NetworkInput,
    scratch: Path,
    workers: int,
    stop: threading.Event,
    on_checked: OnChecked,
    on_result: Callable[[ShardTask, ShardResult], None],
) -> None:
    """Run all tasks; `on_result` and `on_checked` are called by several threads at once.

    Raises what tasks raise, what storage raises, DiskFull, Interrupted.
    """
    halt = threading.Event()
    waiting = iter(tasks)
    lock = threading.Lock()

    def start_worker(slot: int) -> Worker:
        own = replace(checker, current=checker.current.in_slot(slot))
        if workers:
            return WorkerProcess(own, network_input, scratch)
        return ShardWorker(own, network_input, scratch)

    def supervise(reads: ThreadPoolExecutor, slot: int) -> None:
        with closing(Supervisor(partial(start_worker, slot), reads, halt, on_checked)) as supervisor:
            while (next_task := _next(waiting, lock)) is not None and not halt.is_set():
                task = next_task()
                on_result(task, supervisor.run(task))

    count = max(1, workers)
    with ThreadPoolExecutor(READS_AT_ONCE, "read") as reads, ThreadPoolExecutor(count, "supervise") as supervisors:
        futures = [supervisors.submit(supervise, reads, slot) for slot in range(1, count + 1)]
        try:
            pending = set(futures)
            while pending:
                raise_if_stopped(stop)
                finished, pending = wait(pending, STOP_POLL_SECONDS, FIRST_EXCEPTION)
                for future in finished:
                    future.result()
        finally:
            halt.set()


def _next(waiting: Iterator[Callable[[], ShardTask]], lock: threading.Lock) -> Callable[[], ShardTask] | None:
    with lock:
        return next(waiting, None)
