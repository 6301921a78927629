"""When the kubelet sends its next liveness probe, so that the agent ends while none is due.

The kubelet notices the end of a container up to a second late. A probe that it sends in between gets no answer, and
shows as a Warning `Unhealthy` about a pod that has ended well.

Invariant: the wait is bounded, and whoever pretends to be the kubelet can only make the agent wait that long.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trainingrun_agent.clock import Clock
from trainingrun_agent.trainer_probe import TrainerProbe

NOTICE_SECONDS = 2.0
"""How long the kubelet may take to notice that a container has ended."""
MOST_SECONDS = 5.0
"""Longest wait: a period in which every probe has come once, unless nobody sends it any more."""
LATE_SECONDS = 1.0
TURN_SECONDS = 0.05
TRAINER_ALIVE = "/trainer-alive"


@dataclass(frozen=True)
class Schedule:
    """A liveness probe as the operator sets it: seconds until the first one, at the earliest, and between two."""

    delay: float
    period: float


SCHEDULES: Final[Mapping[str, Schedule]] = {"/healthz": Schedule(30, 5), TRAINER_ALIVE: Schedule(10, 5)}


class KubeletProbes:
    """Asked by the server's threads and by the main thread; `trainer` says when the other container has ended."""

    def __init__(self, clock: Clock, trainer: TrainerProbe) -> None:
        self._clock, self._trainer = clock, trainer
        self._started_at = clock.monotonic()
        self._lock = threading.Lock()
        self._answered_at: dict[str, float] = {}

    def answered(self, path: str) -> None:
        """Remember that the kubelet got an answer now; other paths than those of its probes are ignored."""
        if path in SCHEDULES:
            with self._lock:
                self._answered_at[path] = self._clock.monotonic()

    def wait_until_none_is_due(self) -> None:
        """Return when the agent can end unnoticed by any probe, or after MOST_SECONDS."""
        give_up_at = self._clock.monotonic() + MOST_SECONDS
        while self._clock.monotonic() < give_up_at and self._is_due():
            self._clock.sleep(TURN_SECONDS)

    def _is_due(self) -> bool:
        """Whether a probe may come before the kubelet would notice the agent's end."""
        now = self._clock.monotonic()
        with self._lock:
            known = dict(self._answered_at)
        return any(self._may_come(path, known.get(path), now=now) for path in SCHEDULES)

    def _may_come(self, path: str, answered_at: float | None, *, now: float) -> bool:
        schedule = SCHEDULES[path]
        if path == TRAINER_ALIVE and not self._trainer.is_probed(now, after=NOTICE_SECONDS):
            return False
        if answered_at is not None:
            earliest = latest = answered_at + schedule.period
        else:  # the container started shortly before this process could look at a clock
            earliest = self._started_at + schedule.delay - LATE_SECONDS
            latest = self._started_at + schedule.delay + schedule.period
        return earliest - NOTICE_SECONDS < now < latest + LATE_SECONDS
