"""Carries a schedule out: which fault each request of a pod gets, and when the pod is ended.

Invariant: thread-safe; every fault that was injected is counted once, under its kind.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from trchaosstorage.schedule import Attempt, Burst, End
from trfakes.s3_faults import Fault, Request


class Injector:
    """The faults of one life; `begin` starts the next attempt and its count of requests."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._attempt = Attempt()
        self._end_pod: Callable[[End], None] = _nothing
        self._left: dict[Burst, int] = {}
        self._requests = 0
        self._ended = False

    def begin(self, attempt: Attempt, end_pod: Callable[[End], None]) -> None:
        """From now on requests are those of this attempt; `end_pod` carries out its end."""
        with self._lock:
            self._attempt, self._end_pod = attempt, end_pod
            self._left = {burst: burst.requests for burst in attempt.bursts}
            self._requests, self._ended = 0, False

    def fault_of(self, request: Request) -> Fault | None:
        """What goes wrong with this request."""
        with self._lock:
            self._requests += 1
            number, end = self._requests, self._attempt.end
            if end is not None and not self._ended and number >= end.at:
                self._ended = True
                self.injected[end.end] += 1
                self._end_pod(end.end)
                return None if end.arrives else Fault.RESET_BEFORE
            return self._from_bursts(number, request)

    def _from_bursts(self, number: int, request: Request) -> Fault | None:
        for burst, left in self._left.items():
            if left and number >= burst.at and request.can_have(burst.fault):
                self._left[burst] = left - 1
                self.injected[burst.fault] += 1
                return burst.fault
        return None


def _nothing(_: End) -> None:
    """End no pod."""
