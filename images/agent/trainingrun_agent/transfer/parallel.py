"""Doing several transfers at once.

Invariant: when one fails the others are ended, and nothing runs any more when the block has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

from trainingrun_agent.transfer.meter import Meter

WORKERS = 8
POLL_SECONDS = 0.2

T = TypeVar("T")


class Transfers:
    """A block whose end waits for everything that was started in it, and raises the first failure.

    `while_waiting` is called a few times a second and may raise to end the transfers.
    """

    def __init__(self, meter: Meter, *, while_waiting: Callable[[], None] = lambda: None) -> None:
        self._meter, self._while_waiting = meter, while_waiting
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="transfer")
        self._futures: set[Future[Any]] = set()

    def start(self, transfer: Callable[[], T]) -> Future[T]:
        """Start a transfer; its result is there after the block."""
        future = self._pool.submit(transfer)
        self._futures.add(future)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
            elif isinstance(error, Exception):
                self._meter.cancel(error)
        except Exception as failure:
            self._meter.cancel(failure)
            raise
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _wait(self) -> None:
        pending = self._futures
        while pending:
            done, pending = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            self._while_waiting()
