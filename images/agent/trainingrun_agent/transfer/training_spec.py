"""The fields of spec.json that only training has: when it ends before its last step, and how this attempt differs.

Contract: images/contracts/shared-spec.schema.json.
"""

from __future__ import annotations

from typing import Any

from trainingrun_agent.config import Resolved
from trainingrun_agent.training_settings import Changes, Train
from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.training_history import TrainingHistory


def training_fields(
    resolved: Resolved, changes: Changes, history: TrainingHistory, *, own_step: int = 0
) -> dict[str, Any]:
    """What `work_spec` does not have; trainers of earlier releases ignore it.

    `own_step` is the step of the run's own checkpoint that this attempt resumes from.
    """
    train = resolved.train
    return {
        "metric": train.metric,
        "best": _document(history.best),
        "evaluationsSinceBest": history.improvements.since,
        "resumedEvaluation": _document(history.resumed),
        "evaluateResumed": history.resumed is None and _is_evaluated(train, own_step),
        "earlyStopping": _early_stopping(train, history),
        "finish": changes.finish,
        "maxTrainingSeconds": _seconds_left(train, history),
        "seed": train.seed,
        "classWeights": _class_weights(resolved),
        "batchSize": changes.batch_size,
        "learningRateFactor": changes.learning_rate_factor,
    }


def _is_evaluated(train: Train, step: int) -> bool:
    """Whether the trainer evaluates the run's checkpoint of `step`: the first regular one at or after each multiple.

    A checkpoint that an interruption saved between two others is none of these (trainer: cadence.py).
    """
    save, every = train.save_every_steps, train.eval_every_steps
    return step > 0 and step % save == 0 and step // every > (step - save) // every


def _document(evaluation: Evaluation | None) -> dict[str, Any] | None:
    return None if evaluation is None else evaluation.to_json()


def _early_stopping(train: Train, history: TrainingHistory) -> dict[str, Any] | None:
    asked = train.early_stopping
    if asked is None:
        return None
    return {"patience": asked.patience, "minDelta": asked.min_delta, "reference": history.improvements.reference}


def _seconds_left(train: Train, history: TrainingHistory) -> float | None:
    if train.max_duration_seconds is None:
        return None
    return max(0.0, round(train.max_duration_seconds - history.training_seconds, 1))


def _class_weights(resolved: Resolved) -> list[float] | None:
    """The weights in the order of class ids, which is that of dataset.classes; 1 for classes that are not named."""
    weights = resolved.train.class_weights
    if not weights:
        return None
    return [float(weights.get(name, "1")) for name in resolved.dataset.classes]
