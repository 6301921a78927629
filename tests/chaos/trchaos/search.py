"""Execute seed after seed in several processes until the time is over."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Final

from trchaos.execution import Report, execute
from trchaos.rules.processes import log_errors_only
from trchaos.schedule import make
from trchaos.state import Tally

PROCESSES: Final = 2
AHEAD: Final = 2  # seeds for each process that are handed out before it asks
SAY_SECONDS: Final = 5.0
HASH_SEED: Final = "0"  # of Python: an execution then depends on its schedule alone


def be_repeatable(module: str) -> None:
    """Start this program again, as `module`, so that an execution depends on its schedule alone and on no hash seed."""
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.execve(  # noqa: S606
            sys.executable,
            [sys.executable, "-m", module, *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": HASH_SEED},
        )


def search(
    tally: Tally,
    *,
    seconds: float,
    start: int = 0,
    most: int | None = None,
    processes: int = PROCESSES,
    say: Callable[[str], None] = print,
    save: Callable[[], None] = lambda: None,
) -> None:
    """Execute seeds that `tally` lacks, at most so many, and add them; `save` is called now and then."""
    os.environ["PYTHONHASHSEED"] = HASH_SEED  # workers are new processes
    before, began = tally.seeds, time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=log_errors_only) as pool:
        for report in _reports(
            pool, islice(tally.missing(start), most), until=began + seconds, ahead=processes * AHEAD
        ):
            if report is not None:
                tally.add(report)
            else:
                done, passed = tally.seeds - before, time.monotonic() - began
                say(f"{passed:6.0f} s  {done} seeds, {done / passed:.1f}/s, {len(tally.violations)} with violations")
                save()
    tally.real_seconds += time.monotonic() - began
    save()


def _reports(pool: ProcessPoolExecutor, seeds: Iterator[int], *, until: float, ahead: int) -> Iterator[Report | None]:
    """Reports as they come, and None every few seconds."""
    running: set[Future[Report]] = set()
    said = time.monotonic()
    while running or time.monotonic() < until:
        while len(running) < ahead and time.monotonic() < until:
            running.add(pool.submit(run_seed, next(seeds)))
        done, running = wait(running, timeout=SAY_SECONDS, return_when=FIRST_COMPLETED)
        if time.monotonic() >= until:
            running = {future for future in running if not future.cancel()}
        yield from (future.result() for future in done if not future.cancelled())
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            yield None


def run_seed(seed: int) -> Report:
    """Execute a seed; what the model itself raises is a violation too."""
    return execute(make(seed))


def table(tally: Tally) -> str:
    """The sums of a tally as a text."""
    reached = ", ".join(f"{low}-{high}" if low < high else str(low) for low, high in tally.reached)
    rows = [
        ("seeds", f"{tally.seeds:,} ({reached})"),
        ("runs", f"{tally.runs:,}"),
        ("calls of operators", f"{tally.requests:,}"),
        ("virtual days", f"{tally.days:,.1f}"),
        ("faults", f"{tally.faults.total():,}"),
        *((f"  {kind}", f"{count:,}") for kind, count in sorted(tally.faults.items())),
        ("seeds with violations", f"{len(tally.violations):,}"),
        *((f"  {rule}", f"{count:,}") for rule, count in sorted(tally.rules.items())),
    ]
    return "\n".join(f"{name:28} {value}" for name, value in rows)
