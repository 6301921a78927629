"""Which evaluation is the best so far, and whether training has stopped getting better.

Invariant: pure. Together with what spec.json says of earlier attempts, the decisions are those of one attempt that was
never interrupted.
"""

from typing import Any, Dict, List, Optional

from trainingrun_trainer.shared_folder import SharedFolder

EVALUATIONS = "evaluations.json"
MAX_EVALUATIONS = 20000  # as in images/contracts/shared-evaluations.schema.json


class Evaluations:
    """Collects evaluations; `best` is the one with the highest score, the first of equal ones.

    An evaluation is an improvement when its score exceeds that of the last improvement by more than minDelta, so many
    small steps count as one. Early stopping ends training after `patience` evaluations in a row without one.
    """

    def __init__(self, spec: Dict[str, Any]) -> None:
        stopping = spec.get("earlyStopping") or {}
        self._metric: str = spec.get("metric") or "mAP"
        self._patience: Optional[int] = stopping.get("patience")
        self._min_delta: float = stopping.get("minDelta", 0.0)
        self._since_improvement: int = spec.get("evaluationsSinceBest", 0)
        self.best: Optional[Dict[str, Any]] = spec.get("best")
        best_score = self.best[self._metric] if self.best else None
        self._to_exceed: Optional[float] = stopping.get("reference", best_score)
        self._of_attempt: List[Dict[str, Any]] = []

    def add(self, step: int, scores: Dict[str, float]) -> None:
        """Take the scores (mAP and ap50) of the checkpoint of `step`."""
        evaluation = {"step": step, "mAP": scores["mAP"], "ap50": scores["ap50"]}
        self._of_attempt.append(evaluation)
        score = scores[self._metric]
        if self.best is None or score > self.best[self._metric]:
            self.best = evaluation
        if self._to_exceed is None or score > self._to_exceed + self._min_delta:
            self._to_exceed, self._since_improvement = score, 0
        else:
            self._since_improvement += 1

    @property
    def enough(self) -> bool:
        """Whether early stopping asks for the end of training."""
        return self._patience is not None and self._since_improvement >= self._patience

    def write(self, folder: SharedFolder) -> None:
        """Write evaluations.json; of very many, the last ones."""
        folder.write(EVALUATIONS, {"evaluations": self._of_attempt[-MAX_EVALUATIONS:]})
