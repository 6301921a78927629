"""A thread that repeats one action and reports its failure.

Invariant: the last turn starts after `close` was called, so that it sees everything. After a failure there is no
further turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class PeriodicThread:
    """Calls `turn` every `interval` seconds, or at once after `wake`, and at the end `last`."""

    def __init__(
        self,
        name: str,
        turn: Callable[[], None],
        *,
        interval: float,
        last: Callable[[], None] = lambda: None,
    ) -> None:
        self._turn, self._last, self._interval = turn, last, interval
        self._wake, self._closing = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        # A daemon, so that a transfer that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Start the next turn now."""
        self._wake.set()

    def check(self) -> None:
        """Raise the error that ended the thread, if there was one."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ask for the last turn without waiting for it."""
        self._closing.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end after `close`; True when the thread has ended. Raises like `check`."""
        self._thread.join(timeout)
        self.check()
        return not self._thread.is_alive()

    def wait_for_end(self) -> None:
        """Wait until the thread has ended, however; for another thread than the one that checks it."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._turn()
                self._wake.wait(self._interval)
                self._wake.clear()
            self._turn()
            self._last()
        except Exception as error:  # noqa: BLE001 - handed to the thread that asks
            self._failure = error
