"""Asks storage for one byte while no other call does: so a hang shows within seconds, and so does its end.

Training moves nothing during a long evaluation, and an export nothing for most of its time.

Invariant: a heartbeat ends nothing and delays nothing. What it finds is shown, and the work finds out for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import NotFound, StageError, StorageRefused
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.health import HEARTBEAT, StorageHealth

IDLE_SECONDS = 3.0
"""Without a sign of storage for so long, it is asked; time-outs add up to five seconds."""
TURN_SECONDS = 0.5


class Heartbeat:
    """Asks for the object `key` in its own thread inside a `with` block.

    `quick` opens a store with short time-outs, `patient` one for a server that was slow: that is not an outage.
    """

    def __init__(
        self,
        key: str,
        *,
        quick: Callable[[], ObjectStore],
        patient: Callable[[], ObjectStore],
        health: StorageHealth,
        clock: Clock,
    ) -> None:
        self._key = key
        self._quick, self._patient = quick, patient
        self._health, self._clock = health, clock
        self._asked = clock.monotonic()
        self._ended = threading.Event()
        # A daemon that is not waited for, because a call may hang.
        self._thread = threading.Thread(target=self._loop, name="storage-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def turn(self) -> None:
        """Ask, unless storage was heard of, or asked, a moment ago."""
        now = self._clock.monotonic()
        if now - max(self._asked, self._health.last_sign) < IDLE_SECONDS:
            return
        self._asked = now
        try:
            self._ask()
        except StageError as error:
            if self._shows(error, asked=now):
                self._health.failed(HEARTBEAT, error)
        else:
            self._health.answered(HEARTBEAT, seconds=self._clock.monotonic() - now)

    def _shows(self, error: StageError, *, asked: float) -> bool:
        if self._ended.is_set() or self._health.last_sign > asked:  # it waited behind the bytes of other calls
            return False
        # The work ends by itself with a first call that is refused; what never worked is not called an interruption.
        return self._health.has_answered or not isinstance(error, StorageRefused)

    def _ask(self) -> None:
        store = (self._patient if self._health.slow else self._quick)()
        try:
            store.get_range(self._key, start=0, length=1)
        except NotFound:
            return  # an answer

    def _loop(self) -> None:
        while not self._clock.wait(self._ended, TURN_SECONDS):
            self.turn()
