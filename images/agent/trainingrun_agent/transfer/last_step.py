"""How far an attempt got and for how long it has trained, so that the next attempt knows.

Invariant: best effort. It is written at most every 15 seconds: an attempt that is killed loses no more of its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainingrun_agent import contract
from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import UNUSABLE
from trainingrun_agent.keys import Attempt
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore

INTERVAL_SECONDS = 15.0
MAX_SECONDS = 1e12


@dataclass(frozen=True)
class LastRecord:
    """What an attempt recorded last; `resumed_from` is None if it recorded nothing, or its agent did not know it."""

    step: int = 0
    training_seconds: float = 0.0
    resumed_from: int | None = None


class LastStep:
    """Writes the last record of one attempt, which resumed from `resumed_from`, to `<attempt>/last.json`."""

    def __init__(self, store: ObjectStore, attempt: Attempt, clock: Clock, *, resumed_from: int) -> None:
        self._store = store
        self._key = attempt.last_step
        self._clock = clock
        self._resumed_from = resumed_from
        self._record: dict[str, Any] = {}
        self._written: dict[str, Any] = {}
        self._due = clock.monotonic()

    def reached(self, step: int, training_seconds: float | None) -> None:
        """Record that the trainer is at this step, and how long it has trained."""
        self._record = {
            "contractVersion": contract.VERSION,
            "step": step,
            "trainingSeconds": training_seconds or 0.0,
            "resumedFromStep": self._resumed_from,
        }

    def write(self, *, at_once: bool = False) -> None:
        """Write the record if it has changed and the last write is long enough ago, or at once."""
        record = self._record
        if record != self._written and (at_once or self._clock.monotonic() >= self._due):
            self._store.put(self._key, documents.encode(record))
            self._written = record
            self._due = self._clock.monotonic() + INTERVAL_SECONDS


def read_last(store: ObjectStore, attempt: Attempt) -> LastRecord:
    """The last record of an attempt; one of zeros if there is none that can be read."""
    try:
        document = documents.read(store, attempt.last_step) or {}
    except UNUSABLE:
        return LastRecord()
    step, resumed = (_count(document.get(name)) for name in ("step", "resumedFromStep"))
    return LastRecord(step or 0, _seconds(document.get("trainingSeconds")), resumed)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS
    return float(value) if known else 0.0
