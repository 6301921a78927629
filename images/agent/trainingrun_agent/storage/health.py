"""Whether the storage of a pod answers, from the ends of all calls to it.

Invariant: a failure is forgotten as soon as a call of its kind succeeds; nothing else is remembered of the past.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import StageError

SLOW_SECONDS: Final = 4.0
HEARTBEAT: Final = "heartbeat"
"""The kind of the calls that only ask whether storage answers; any other call that succeeds answers for them."""

OnChange = Callable[[StageError | None], None]
"""Called with what is wrong when that changes, and with None once all is well again."""


class StorageHealth:
    """One for all stores of a pod; any thread may report and ask.

    Calls are of a kind, such as the writes to one bucket, because one kind may fail while others succeed.
    """

    def __init__(self, on_change: OnChange, *, clock: Clock) -> None:
        self._on_change, self._clock = on_change, clock
        self._lock = threading.Lock()
        self._wrong: dict[str, StageError] = {}
        self._slow = False
        self._last_sign = clock.monotonic()
        self.has_answered = False
        """Whether any call has succeeded."""

    @property
    def last_sign(self) -> float:
        """When storage last answered, or bytes last moved, on the monotonic clock; at first the start."""
        return self._last_sign

    @property
    def slow(self) -> bool:
        """Whether the last answer to a small request took long."""
        return self._slow

    def answered(self, kind: str, *, seconds: float | None = None) -> None:
        """A call has succeeded; `seconds` is how long it took, if it moved few bytes."""
        with self._lock:
            self._last_sign = self._clock.monotonic()
            self.has_answered = True
            if seconds is not None:
                self._slow = seconds > SLOW_SECONDS
            if self._wrong.keys() & {kind, HEARTBEAT}:
                self._wrong.pop(kind, None)
                self._wrong.pop(HEARTBEAT, None)
                self._on_change(next(iter(self._wrong.values()), None))

    def moved(self) -> None:
        """Bytes of an object have moved."""
        self._last_sign = self._clock.monotonic()

    def failed(self, kind: str, error: StageError) -> None:
        """A call has failed. What a heartbeat finds is not shown beside what the work was told, which says more."""
        with self._lock:
            known = self._wrong.get(kind)
            hidden = kind == HEARTBEAT and self._wrong.keys() - {HEARTBEAT}
            self._wrong[kind] = error
            if not hidden and (known is None or known.reason != error.reason):
                self._on_change(error)

    def given_up(self, kind: str) -> None:
        """Nobody repeats the call that failed: from now on any call that succeeds answers for it too."""
        with self._lock:
            if kind in self._wrong:
                self._wrong[HEARTBEAT] = self._wrong.pop(kind)
