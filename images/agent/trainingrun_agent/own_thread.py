"""Work in a thread of its own: the main thread notices SIGTERM at once, and when the grace period is nearly over.

A server that takes a request and gives no answer can hold up a thread for longer than a grace period: in compiled code,
where Python runs no signal handler, or where no time-out ends before SIGKILL.

Invariant: the main thread waits for nothing else than the work, `stop` and the time.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.1


class OwnThread(Generic[T]):
    """Does the work from now on."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._ended = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="work", daemon=True).start()

    def result(self, stop: threading.Event, seconds_after_stop: Callable[[], float]) -> T | None:
        """Wait for the result; None if it is not there so long after `stop`. Raises what the work raises."""
        while not self._ended.wait(POLL_SECONDS) and not stop.is_set():
            pass
        if not self._ended.wait(max(0.0, seconds_after_stop())):
            return None
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        self._ended.set()


def end_process(code: int) -> None:
    """End the process now, also while threads wait for an answer of storage."""
    with suppress(OSError):  # nobody reads them any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
