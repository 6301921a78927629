"""Which requests of an operator fail, and how: windows of time, each with one kind of fault and its share.

Invariant: windows come from the seed alone; which requests fall into a window depends on the machine's speed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

# Kinds of faults. "reset" comes before a request is forwarded, "lost" after it took effect.
OF_REQUESTS: Final = ("5xx", "429", "409", "slow", "reset", "lost")
OF_WATCHES: Final = ("watch cut", "watch 410", "watch hangs")
STATUS_CODES: Final = (500, 502, 503, 504)


@dataclass(frozen=True)
class Call:
    """One request of an operator."""

    operator: str
    method: str
    path: str
    watches: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes anything but a Lease."""
        return self.method != "GET" and "/leases" not in self.path

    @property
    def may_conflict(self) -> bool:
        """Whether the API server can answer 409 though nothing else is wrong: it never does so for a Job's deletion."""
        return self.method in {"POST", "PATCH"}


@dataclass(frozen=True)
class Fault:
    """What happens to one request; `seconds` is how long an answer or a watch waits."""

    kind: str
    status: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Window:
    """A share of the requests between two moments (seconds since the start) fails in one way."""

    begin: float
    end: float
    kind: str
    share: float


def draw_windows(rng: random.Random, *, seconds: float, count: int) -> list[Window]:
    """Draw windows for a schedule that lasts so long."""
    windows = []
    for number in range(count):
        kind = rng.choice(OF_WATCHES if number % 3 == 2 else OF_REQUESTS)
        begin = rng.uniform(0.0, seconds - 1.0)
        end = min(seconds, begin + rng.uniform(0.5, 5.0))
        windows.append(Window(begin, end, kind, rng.choice((0.15, 0.4, 0.9))))
    return windows


class Weather:
    """Chooses the fault of each request; `passed` returns seconds since the start of the schedule."""

    def __init__(
        self,
        windows: Sequence[Window],
        rng: random.Random,
        passed: Callable[[], float],
        trace: Callable[..., None] = lambda *_: None,
    ) -> None:
        self.windows, self._rng, self._passed, self._trace = windows, rng, passed, trace
        self.injected: Counter[str] = Counter()
        self._hanging: dict[str, float] = {}  # until when, by kind

    def fault_for(self, call: Call) -> Fault | None:
        """Return the fault of a request, or None."""
        moment = self._passed()
        for window in self.windows:
            applies = call.watches == (window.kind in OF_WATCHES) and (window.kind != "409" or call.may_conflict)
            if applies and window.begin <= moment < window.end and self._rng.random() < window.share:
                self.injected[window.kind] += 1
                self._trace(f"{call.operator} fault", window.kind, call.method, call.path)
                return self._draw(window.kind)
        return None

    def fault_of_watch(self, call: Call) -> Fault | None:
        """Return the fault of a watch that is open and has something to show, or None."""
        left = self._hanging.get(call.path.rpartition("/")[2], 0.0) - self._passed()
        if left <= 0:
            return self.fault_for(call)
        self.injected["watch hangs"] += 1
        self._trace(f"{call.operator} fault", "watch hangs", call.path)
        return Fault("watch hangs", seconds=left)

    def hang(self, plural: str, seconds: float) -> None:
        """Let the watches of a kind hang as soon as they have something to show."""
        self._hanging[plural] = self._passed() + seconds

    def _draw(self, kind: str) -> Fault:
        if kind == "5xx":
            return Fault(kind, status=self._rng.choice(STATUS_CODES))
        if kind in {"slow", "watch hangs"}:
            return Fault(kind, seconds=self._rng.uniform(0.2, 4.0) * (3 if kind == "watch hangs" else 1))
        return Fault(kind, status={"429": 429, "409": 409}.get(kind, 0))
