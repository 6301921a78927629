"""Doing several transfers at once.

Invariant: when one fails the others are ended, and nothing runs any more when the call returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from trainingrun_agent.transfer.meter import Meter

WORKERS = 8
TURN_SECONDS = 0.2


def together(
    tasks: Iterable[Callable[[], object]], *, meter: Meter, while_waiting: Callable[[], None] = lambda: None
) -> None:
    """Run all tasks; `while_waiting` is called a few times a second and may raise to end them.

    Raises the first failure.
    """
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="transfer") as pool:
        futures = [pool.submit(task) for task in tasks]
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, timeout=TURN_SECONDS, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                while_waiting()
        except Exception as error:
            meter.cancel(error)
            pool.shutdown(wait=False, cancel_futures=True)
            raise
