"""The end of training before its last step, as conditions and messages tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.reason import Reason
from trainingrun.api.status import Training
from trainingrun.domain.texts import sentences

_REASONS: Final = {
    "earlyStopping": reasons.EARLY_STOPPED,
    "finish": reasons.FINISHED_EARLY,
    "maxDuration": reasons.MAX_DURATION_REACHED,
}


def reason_of_training(training: Training) -> Reason:
    """Reason of Trained=True."""
    return _REASONS.get(training.get("stoppedBy", ""), reasons.COMPLETED)


def reason_of_run(training: Training) -> Reason:
    """Reason of Succeeded=True: the two ways to say that it is enough have one."""
    found = reason_of_training(training)
    return reasons.FINISHED_EARLY if found is reasons.MAX_DURATION_REACHED else found


def text(training: Training, *, spec: Mapping[str, Any]) -> str:
    """Why training ended before its last step; empty if it did not."""
    stopped = training.get("stoppedBy", "")
    if stopped not in _REASONS:
        return ""
    step, steps = training.get("step"), training.get("steps")
    at = f"at step {step} of {steps}" if step is not None and steps else "early"
    return sentences(f"Training ended {at} because {_because(stopped, spec.get('train') or {})}")


def best(training: Training) -> str:
    """The best evaluation; empty if none is known."""
    found = training.get("best")
    return f"Best: mAP {found['mAP']}, AP@.5 {found['ap50']} at step {found['step']}." if found else ""


def _because(stopped: str, train: Mapping[str, Any]) -> str:
    if stopped == "finish":
        return "spec.finish is true"
    if stopped == "maxDuration":
        return f"spec.train.maxDuration ({train.get('maxDuration')}) has passed"
    patience = (train.get("earlyStopping") or {}).get("patience")
    return f"the last {patience} evaluations were not better (spec.train.earlyStopping)"
