"""A thread that does one thing again and again, and whose failure is not lost.

Invariant: the last turn begins after `close` was called, so that it sees everything; after a failure no
further turn is made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """Calls `turn` every `interval` seconds, or at once after `wake`, and `last` once at the end."""

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
        # A daemon, so that a transfer that hangs does not keep the process when its time is over.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do now."""
        self._wake.set()

    def check(self) -> None:
        """Raise what ended the worker, if something did."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ask for the last turn without waiting for it."""
        self._closing.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end after `close`; True when it is over. Raises like `check`."""
        self._thread.join(timeout)
        self.check()
        return not self._thread.is_alive()

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
