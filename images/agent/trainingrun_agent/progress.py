"""Progress of the attempt, for `/progress`, `/metrics` and the log.

Invariant: a snapshot is always a valid document of images/contracts/progress.schema.json; fields have the names of that
schema. Any thread may update or read.
"""

from __future__ import annotations

import math
import threading
from typing import Any

from trainingrun_agent import contract
from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.current_file import CurrentFile
from trainingrun_agent.outgoing import outgoing, outgoing_document
from trainingrun_agent.rate import ByteRate

FIELDS = frozenset(
    ("phase", "done", "total", "unit", "etaSeconds", "step", "steps", "loss", "checkpointStep", "ap50", "mAP")
) | {"resumedFromStep", "stepsLost", "storage", "timings", "epoch", "format"}
MAX_STORAGE_MESSAGE = 1024


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
        self._anchor: tuple[float, int] | None = None
        self._rate = ByteRate(self._clock.monotonic())
        self._usable: dict[str, Any] = {"ready": True}
        self._bytes = {"down": 0, "up": 0}

    def update(self, *, bytes: int | None = None, **fields: Any) -> None:  # noqa: A002 - named like the other fields
        """Set fields by their schema names; None removes a field, and so does a number that is not finite.

        A new phase or unit removes `done`, `total` and `etaSeconds` unless they are given with it. Without a given
        `etaSeconds` the snapshot estimates one from how `done` grew within the phase. `bytes` is the number of bytes
        processed since the phase began, for `bytesPerSecond` where `done` counts something else.
        """
        unknown = fields.keys() - FIELDS
        if unknown:
            raise TypeError(f"not a field of progress: {', '.join(sorted(unknown))}")
        with self._lock:
            if any(name in fields and fields[name] != self._fields.get(name) for name in ("phase", "unit")):
                for name in ("done", "total", "etaSeconds"):
                    self._fields.pop(name, None)
                self._anchor = None
                self._rate = ByteRate(self._clock.monotonic())
            for name, value in fields.items():
                if value is None or (isinstance(value, float) and not math.isfinite(value)):
                    self._fields.pop(name, None)
                else:
                    self._fields[name] = value
            if self._anchor is None and "done" in self._fields:
                self._anchor = (self._clock.monotonic(), self._fields["done"])
            moved = self._fields.get("done") if bytes is None and self._fields.get("unit") == "bytes" else bytes
            if moved is not None:
                self._rate.reached(moved, now=self._clock.monotonic())
            self._updated = self._clock.now()

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
            eta = self._eta()
            rate = self._rate.per_second(now=self._clock.monotonic())
        if rate is not None:
            document["bytesPerSecond"] = rate
        if eta is not None:
            document.setdefault("etaSeconds", eta)
        return outgoing_document(document)

    def _eta(self) -> float | None:
        done, total = self._fields.get("done"), self._fields.get("total")
        if self._anchor is None or done is None or total is None:
            return None
        since, first = self._anchor
        if done <= first:
            return None
        seconds_each = (self._clock.monotonic() - since) / (done - first)
        return float(round(seconds_each * max(0, total - done), 1))


def _storage_state(*, ready: bool, reason: str, message: str) -> dict[str, Any]:
    state: dict[str, Any] = {"ready": ready}
    if reason:
        state["reason"] = reason
    if message:
        state["message"] = outgoing(message)[:MAX_STORAGE_MESSAGE]
    return state
