"""How far an attempt got, so that the next attempt can report how many steps were lost.

Invariant: best effort. The step is written at most every 15 seconds, and only a number in status depends on it.
"""

from __future__ import annotations

from trainingrun_agent import contract
from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import UNUSABLE
from trainingrun_agent.keys import Attempt, RunKeys
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.attempts import training_attempts

INTERVAL_SECONDS = 15.0
MAX_ATTEMPTS = 10
"""Only this many of the newest attempts are read."""


class LastStep:
    """Writes the last step of one attempt to `<attempt>/last.json`."""

    def __init__(self, store: ObjectStore, attempt: Attempt, clock: Clock) -> None:
        self._store = store
        self._key = attempt.last_step
        self._clock = clock
        self._step: int | None = None
        self._written: int | None = None
        self._due = clock.monotonic()

    def reached(self, step: int) -> None:
        """Record that the trainer is at this step."""
        self._step = step

    def write(self, *, at_once: bool = False) -> None:
        """Write the step if it has changed and the last write is long enough ago, or at once."""
        if self._step is None or self._step == self._written:
            return
        if at_once or self._clock.monotonic() >= self._due:
            step = self._step
            self._store.put(self._key, documents.encode({"contractVersion": contract.VERSION, "step": step}))
            self._written = step
            self._due = self._clock.monotonic() + INTERVAL_SECONDS


def highest_known_step(store: ObjectStore, run: RunKeys, *, before_epoch: int) -> int:
    """The highest step that an attempt of an earlier epoch is known to have reached; 0 if none is known."""
    attempts = list(training_attempts(store, run, before_epoch=before_epoch))
    return max((_read(store, attempt) for attempt in attempts[-MAX_ATTEMPTS:]), default=0)


def _read(store: ObjectStore, attempt: Attempt) -> int:
    try:
        document = documents.read(store, attempt.last_step)
    except UNUSABLE:
        return 0
    step = (document or {}).get("step")
    return step if isinstance(step, int) and step >= 0 else 0
