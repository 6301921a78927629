"""Chooses the checkpoint to export (spec.export.checkpoint), and says why.

Invariant: pure. A checkpoint that cannot be read is followed by the next best one; only a step that the user names has
no substitute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trainingrun_agent.training_settings import Checkpoint, Metric
from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.resume import StoredCheckpoint

MAX_STEPS: Final = 20
"""Number of steps that a message names."""
_METRICS: Final[Mapping[Metric, str]] = {"mAP": "mAP", "ap50": "AP@.5"}


@dataclass(frozen=True)
class ExportChoice:
    """What to export of `checkpoints`, which are in the order in which an attempt resumes from them, newest first."""

    wanted: Checkpoint
    metric: Metric
    checkpoints: Sequence[StoredCheckpoint]
    evaluations: Mapping[StoredCheckpoint, Evaluation]

    @property
    def candidates(self) -> list[StoredCheckpoint]:
        """Checkpoints to try, in this order."""
        if self.wanted == "latest":
            return list(self.checkpoints)
        if self.wanted == "best":
            # Sorting keeps the order of equal ones: the newest first where none is evaluated.
            return sorted(self.checkpoints, key=self._rank)
        return [one for one in self.checkpoints if one.step == self.wanted]

    def steps_there(self) -> str:
        """The steps that can be named instead of one that is not there, newest first."""
        steps = sorted({one.step for one in self.checkpoints if one.step != self.wanted}, reverse=True)
        more = f" and {len(steps) - MAX_STEPS} more" if len(steps) > MAX_STEPS else ""
        return ", ".join(map(str, steps[:MAX_STEPS])) + more

    def reason(self, chosen: StoredCheckpoint) -> str:
        """Why this one of the candidates is exported."""
        if self.wanted == "latest":
            return "the latest one"
        if self.wanted != "best":
            return "the step that export.checkpoint names"
        found = self.evaluations.get(chosen)
        if found is None and self.evaluations:
            return "the latest one; no checkpoint that was evaluated can be read"
        if found is None:
            return "the latest one, because no evaluation of a checkpoint is known"
        best = f"best by {_METRICS[self.metric]}: {self._score(chosen)} at step {chosen.step}"
        return f"{best}; {self._compared(chosen)}{self._unreadable(chosen)}"

    def _rank(self, checkpoint: StoredCheckpoint) -> tuple[bool, float, int]:
        """Evaluated ones first, the highest score first, the first of equal ones first: so has the trainer it."""
        found = self.evaluations.get(checkpoint)
        return (True, 0.0, 0) if found is None else (False, -found.score(self.metric), checkpoint.step)

    def _compared(self, chosen: StoredCheckpoint) -> str:
        last = self.checkpoints[0]
        if last == chosen:
            return "it is the last one too"
        known = f"has {self._score(last)}" if last in self.evaluations else "was not evaluated"
        return f"the last one, of step {last.step}, {known}"

    def _unreadable(self, chosen: StoredCheckpoint) -> str:
        first = self.candidates[0]
        return "" if first == chosen else f"; the one of step {first.step}, with {self._score(first)}, cannot be read"

    def _score(self, checkpoint: StoredCheckpoint) -> str:
        return f"{self.evaluations[checkpoint].score(self.metric):.3f}"
