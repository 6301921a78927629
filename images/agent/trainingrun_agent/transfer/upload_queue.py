"""Checkpoints that wait for their upload.

Invariant: if uploads are too slow, only the newest waiting checkpoint is uploaded, and those of `protected` steps, such
as the best one. Thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from trainingrun_agent.shared.trainer_documents import Ready


class UploadQueue:
    """`protected` are steps that are never dropped; with `hurry`, the newest checkpoint is uploaded first.

    `protected` is only called when a checkpoint would be dropped.
    """

    def __init__(
        self,
        *,
        protected: Callable[[], Collection[int]] = tuple,
        hurry: Callable[[], bool] = bool,
    ) -> None:
        self._protected, self._hurry = protected, hurry
        self._waiting: list[Ready] = []
        self._lock = threading.Lock()

    def protected(self) -> Collection[int]:
        """Steps whose checkpoints are not dropped."""
        return self._protected()

    def put(self, ready: Ready) -> list[Ready]:
        """Add a checkpoint that is newer than all others; returns those that are not uploaded any more."""
        with self._lock:
            others = list(self._waiting)
        protected = self._protected() if others else ()
        with self._lock:
            dropped = [one for one in self._waiting if one.step not in protected]
            self._waiting = [*(one for one in self._waiting if one.step in protected), ready]
        return dropped

    def take(self) -> Ready | None:
        """Remove the next checkpoint to upload; None if none waits."""
        hurry = self._hurry()
        with self._lock:
            return self._waiting.pop(-1 if hurry else 0) if self._waiting else None
