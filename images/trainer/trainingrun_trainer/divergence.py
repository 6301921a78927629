"""Watches for a training that cannot recover, and makes the error that ends it.

Invariant: the error says what was seen at which step, names the last good checkpoint, and the images of the batches
that came last, as far as their names are found.
"""

import math
import os
from collections import deque
from typing import Any, Deque, List, Sequence, Tuple

from trainingrun_trainer.batches import BatchNames
from trainingrun_trainer.loss_watch import LossWatch
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import READY, SharedFolder

Batch = Tuple[int, Sequence[int]]
"""A step and the hashes of its images."""


class Divergence:
    """Takes the loss and the batch of every step."""

    def __init__(self, folder: SharedFolder, names: BatchNames) -> None:
        self._folder, self._names = folder, names
        self._watch = LossWatch()
        self._last: Deque[Batch] = deque(maxlen=2)
        self._before_high: List[Batch] = []

    @property
    def is_suspected(self) -> bool:
        """Whether the loss is high now: the weights may be beyond recovery, so they are no good checkpoint."""
        return self._watch.is_high

    def observe(self, step: int, loss: float, images: Any) -> None:
        """Take a step; raises TrainerError when its loss is not finite, or has exploded."""
        self._last.append((step, [int(one) for one in images]))
        if not math.isfinite(loss):
            raise self.error(f"The loss became {loss}", step)
        exploded = self._watch.observe(loss)
        if not self._watch.is_high:
            self._before_high = []
        elif not self._before_high:
            self._before_high = list(self._last)
        if exploded:
            raise self.error(exploded, step)

    def error(self, what: str, step: int) -> TrainerError:
        """The error for a training that cannot recover; its message begins with `what`."""
        ready = self._folder.path(READY)
        saved = [int(name[: -len(".json")]) for name in os.listdir(ready)] if os.path.isdir(ready) else []
        earlier = [saved_step for saved_step in saved if saved_step < step]
        last = (
            f"the last good checkpoint is of step {max(earlier)}"
            if earlier
            else "this attempt had saved no checkpoint before"
        )
        return TrainerError("diverged", "Diverged", f"{what} at step {step}; {last}.{self._images()}")

    def _images(self) -> str:
        """The images of the last batches, or of those with which a high loss began, the newest batch first."""
        batches = reversed(self._before_high or list(self._last))
        named = [(step, self._names.in_words(hashes)) for step, hashes in batches]
        return "".join(f" Images of step {step}: {names}." for step, names in named if names)
