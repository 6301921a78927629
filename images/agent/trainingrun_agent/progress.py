"""Progress of the attempt, for `/progress`, `/metrics` and the log.

Invariant: a snapshot is always a valid document of images/contracts/progress.schema.json; fields have the names of that
schema. Any thread may update or read.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from trainingrun_agent import contract
from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.current_file import CurrentFile
from trainingrun_agent.outgoing import outgoing, outgoing_document
from trainingrun_agent.rate import Rate
from trainingrun_agent.stage_estimate import StageEstimate

FIELDS = frozenset(("phase", "done", "total", "unit", "step", "steps", "loss", "checkpointStep", "ap50", "mAP")) | {
    "resumedFromStep",
    "stepsLost",
    "restored",
    "storage",
    "timings",
    "epoch",
    "format",
    "images",
    "savedImages",
    "trainingSeconds",
    "best",
    "keptCheckpoints",
}
MAX_STORAGE_MESSAGE = 1024

Item = TypeVar("Item")


class Progress:
    """The progress of one attempt; thread-safe. `current` shows which file the main process reads."""

    def __init__(
        self, *, stage: str, pod_uid: str, clock: Clock | None = None, current: CurrentFile | None = None
    ) -> None:
        self._clock = clock or Clock()
        self.current = current or CurrentFile()
        self._lock = threading.Lock()
        self._fields: dict[str, Any] = {"phase": "starting"}
        self._fixed = {"contractVersion": contract.VERSION, "stage": stage, "podUID": pod_uid}
        self._updated = self._clock.now()
        self._estimate = StageEstimate(stage)
        self._rate, self._reused = Rate(self._clock.monotonic()), 0
        self._usable: dict[str, Any] = {"ready": True}
        self._bytes = {"down": 0, "up": 0}

    def update(self, *, bytes: int | None = None, reused: int | None = None, **fields: Any) -> None:  # noqa: A002 - named like the other fields
        """Set fields by their schema names; None removes a field, and so does a number that is not finite.

        `done`, `total` and `unit` count what the phase does: a new phase or unit removes `done` and `total` unless they
        are given with it. `bytes` is the number of bytes processed since the phase began, for `bytesPerSecond` where
        `done` counts something else. `reused` is how much of `done` cost no time, so that it does not hide the pace.
        """
        unknown = fields.keys() - FIELDS
        if unknown:
            raise TypeError(f"not a field of progress: {', '.join(sorted(unknown))}")
        now = self._clock.monotonic()
        with self._lock:
            if any(name in fields and fields[name] != self._fields.get(name) for name in ("phase", "unit")):
                for name in ("done", "total"):
                    self._fields.pop(name, None)
                self._rate, self._reused = Rate(now), 0
            for name, value in fields.items():
                if value is None or (isinstance(value, float) and not math.isfinite(value)):
                    self._fields.pop(name, None)
                else:
                    self._fields[name] = value
            moved = self._fields.get("done") if bytes is None and self._fields.get("unit") == "bytes" else bytes
            if moved is not None:
                self._rate.reached(moved, now=now)
            self._reused = self._reused if reused is None else reused
            self._estimate.observe(self._fields, reused=self._reused, now=now)
            self._updated = self._clock.now()

    def expect_training(
        self,
        *,
        steps: int,
        evaluate_every: int,
        batches_per_evaluation: float = 0.0,
        most_seconds: float | None = None,
    ) -> None:
        """Estimate percentage and time of a training of so many steps, evaluated every so many.

        An evaluation has as many images as so many steps; 0 while that is unknown. Training ends `most_seconds` after
        its first step.
        """
        with self._lock:
            self._estimate.expect_training(
                steps=steps,
                evaluate_every=evaluate_every,
                batches_per_evaluation=batches_per_evaluation,
                most_seconds=most_seconds,
            )

    def finished(self) -> None:
        """The stage is done: 100 percent."""
        with self._lock:
            self._estimate.finished()

    def storage_usable(self, *, reason: str = "", message: str = "") -> None:
        """Set that the run can use its storage, with a warning if there is one: it is shown again after an outage."""
        self._usable = _storage_state(ready=True, reason=reason, message=message)
        self.storage_answers()

    def storage_answers(self) -> None:
        """Set that storage answers."""
        self.update(storage=self._usable)

    def storage_fails(self, *, reason: str, message: str) -> None:
        """Set that storage does not answer, or refuses, with the reason of the condition StorageReady."""
        self.update(storage=_storage_state(ready=False, reason=reason, message=message))

    def count_bytes(self, *, down: int = 0, up: int = 0) -> None:
        """Count transferred bytes for `/metrics`; a repeated transfer is counted again."""
        with self._lock:
            self._bytes["down"] += down
            self._bytes["up"] += up

    def transferred_bytes(self) -> tuple[int, int]:
        """Bytes received and sent since the start."""
        with self._lock:
            return self._bytes["down"], self._bytes["up"]

    def snapshot(self) -> dict[str, Any]:
        """A copy of the document."""
        with self._lock:
            document = {**self._fixed, **self._fields, "updated": rfc3339(self._updated)}
            now = self._clock.monotonic()
            known = {
                "percent": self._estimate.percent,
                "etaSeconds": self._estimate.seconds_left(now=now),
                "bytesPerSecond": self._rate.per_second(now=now),
            }
        document |= {name: round(value) for name, value in known.items() if value is not None}
        return outgoing_document(document)


class Steps:
    """Counts what a phase does one by one; shown from the start on, and then `every` so many."""

    def __init__(self, progress: Progress, phase: str, *, unit: str, total: int | None = None, every: int = 1) -> None:
        self._progress, self._phase, self._unit = progress, phase, unit
        self._total, self._every = total, every
        self._done = 0
        self._show()

    def add(self) -> None:
        """Count one more; by one thread only."""
        self._done += 1
        if self._done % self._every == 0:
            self._show()

    def counted(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, counted one by one."""
        for item in items:
            yield item
            self.add()

    def _show(self) -> None:
        self._progress.update(phase=self._phase, unit=self._unit, done=self._done, total=self._total)


def _storage_state(*, ready: bool, reason: str, message: str) -> dict[str, Any]:
    state: dict[str, Any] = {"ready": ready}
    if reason:
        state["reason"] = reason
    if message:
        state["message"] = outgoing(message)[:MAX_STORAGE_MESSAGE]
    return state
