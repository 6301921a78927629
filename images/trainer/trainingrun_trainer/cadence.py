"""At which checkpoints a training is evaluated.

Invariant: pure. Steps depend on saveEverySteps and evalEverySteps alone, so that a training that was interrupted is
evaluated at the same steps as one that was not: a checkpoint that an interruption saved between two others counts for
nothing. The agent decides by the same rule whether the evaluation of the checkpoint to resume from is missing
(training_spec.py).
"""

from typing import Any, Dict


class EvaluationSteps:
    """The first regular checkpoint at or after each multiple of evalEverySteps is due."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        self._save_every: int = spec["saveEverySteps"]
        self._every: int = spec["evalEverySteps"]
        last_regular = spec["resumedFromStep"] // self._save_every * self._save_every
        self._evaluations = last_regular // self._every

    def take(self, step: int) -> bool:
        """Whether the checkpoint of `step` is to be evaluated; one that is never asked for leaves it to the next."""
        due = step // self._every
        if step % self._save_every or due <= self._evaluations:
            return False
        self._evaluations = due
        return True
