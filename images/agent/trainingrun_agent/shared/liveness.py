"""Whether the trainer still makes progress: what its liveness probe, `/trainer-alive`, asks.

Invariant: pure observation. Only changes of what the trainer writes count, measured by this process's own monotonic
clock. A trainer without work never counts as stalled.
"""

from __future__ import annotations

import threading

from trainingrun_agent.clock import Clock
from trainingrun_agent.shared.trainer_documents import TrainerProgress

FROZEN_SECONDS = 60.0
"""Limit for a trainer that writes nothing: its progress.json is replaced every second by a separate thread."""
STARTUP_SECONDS = 600.0
"""Limit at the start: importing TensorFlow and building a large graph show no progress."""
STARTING_PHASES = frozenset(("importing", "waiting", "building"))


class Liveness:
    """One thread observes, any may ask. `stall_seconds` is spec.train.stallSeconds."""

    def __init__(self, *, stall_seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._stall = stall_seconds
        self._lock = threading.Lock()
        self._working = False
        self._seen: TrainerProgress | None = None
        self._updated_at = self._advanced_at = clock.monotonic()
        self._last_stall_reason = ""

    def work_given(self) -> None:
        """The fetch is over and the trainer has started: from now on it must make progress."""
        with self._lock:
            self._working = True
            self._updated_at = self._advanced_at = self._clock.monotonic()

    def observe(self, progress: TrainerProgress | None) -> None:
        """Compare the newest progress.json with the one before."""
        with self._lock:
            now, before = self._clock.monotonic(), self._seen
            if progress is not None:
                if before is None or progress.updated != before.updated:
                    self._updated_at = now
                if before is None or _position(progress) != _position(before):
                    self._advanced_at = now
                self._seen = progress
            self._remember(now)

    def stall_reason(self) -> str:
        """Why the trainer must be ended now; empty while all is well."""
        with self._lock:
            return self._remember(self._clock.monotonic())

    @property
    def last_stall_reason(self) -> str:
        """Why the trainer last counted as stalled, also if it moved again afterwards; empty if it never did."""
        with self._lock:
            return self._last_stall_reason

    def _remember(self, now: float) -> str:
        reason = self._check(now) if self._working else ""
        self._last_stall_reason = reason or self._last_stall_reason
        return reason

    def _check(self, now: float) -> str:
        starting = self._seen is None or self._seen.phase in STARTING_PHASES
        frozen = STARTUP_SECONDS if self._seen is None else FROZEN_SECONDS
        if now - self._updated_at > frozen:
            return f"the trainer has made no sign of life for {frozen:.0f} s"
        limit = max(self._stall, STARTUP_SECONDS) if starting else self._stall
        if now - self._advanced_at > limit:
            phase = self._seen.phase if self._seen else "starting"
            return f"the trainer made no progress for {limit:.0f} s while {phase}"
        return ""


def _position(progress: TrainerProgress) -> tuple[float, bool]:
    return progress.last_advance, progress.phase in STARTING_PHASES
