"""Whether the trainer still makes progress: what its liveness probe, `/trainer-alive`, asks.

Invariant: pure observation. Only changes of what the trainer writes count, measured by this process's own monotonic
clock. A trainer without work never counts as stalled.
"""

from __future__ import annotations

import threading

from trainingrun_agent.clock import Clock
from trainingrun_agent.shared.trainer_documents import PHASES, TrainerProgress

FROZEN_SECONDS = 60.0
"""Limit for a trainer that writes nothing: its progress.json is replaced every second by a separate thread."""
STARTUP_SECONDS = 600.0
"""Limit at the start: importing TensorFlow and building a large graph show no progress."""
STARTING_PHASES = frozenset(("importing", "waiting", "building"))
PROBE_SECONDS = 25.0
"""How long the probe must fail before the kubelet ends the trainer: six answers in a row, one every five seconds."""
PROBE_GRACE_SECONDS = 30.0
"""How long the trainer may go on after that; the probe's own grace period is 20 s."""


class Liveness:
    """One thread observes, any may ask. `stall_seconds` is spec.train.stallSeconds."""

    def __init__(self, *, stall_seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._stall = stall_seconds
        self._lock = threading.Lock()
        self._working = False
        self._seen: TrainerProgress | None = None
        self._updated_at = self._advanced_at = clock.monotonic()
        self._stalled_since: float | None = None
        self._reason = ""
        self._acted_on: tuple[str, float] | None = None

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

    def reason_of_end(self) -> str:
        """Why the kubelet has ended the trainer, if that is what ended it now; else empty.

        A complaint that passed before the kubelet acted on it ended nothing. One that it acted on counts until the
        trainer must be gone, although the trainer may move again meanwhile: it saves a checkpoint.
        """
        with self._lock:
            now = self._clock.monotonic()
            self._remember(now)
            reason, until = self._acted_on or ("", now)
            return reason if now - until <= PROBE_GRACE_SECONDS else ""

    def _remember(self, now: float) -> str:
        """Why the trainer counts as stalled; remembers until when it did, once the kubelet has acted on it."""
        reason = self._check(now) if self._working else ""
        if reason:
            self._reason = reason
            self._stalled_since = now if self._stalled_since is None else self._stalled_since
        if self._stalled_since is not None and now - self._stalled_since >= PROBE_SECONDS:
            self._acted_on = (self._reason, now)
        if not reason:
            self._stalled_since = None
        return reason

    def _check(self, now: float) -> str:
        starting = self._seen is None or self._seen.phase in STARTING_PHASES
        frozen = STARTUP_SECONDS if self._seen is None else FROZEN_SECONDS
        if now - self._updated_at > frozen:
            return f"the trainer has made no sign of life for {frozen:.0f} s"
        limit = max(self._stall, STARTUP_SECONDS) if starting else self._stall
        if now - self._advanced_at > limit:
            doing = f" {PHASES[self._seen.phase]}" if self._seen else ""
            return f"the trainer made no progress for {limit:.0f} s{doing}"
        return ""


def _position(progress: TrainerProgress) -> tuple[float, bool]:
    return progress.last_advance, progress.phase in STARTING_PHASES
