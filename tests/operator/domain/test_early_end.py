"""Training that ended before its last step: conditions, messages and what is in the status."""

from __future__ import annotations

import pytest

from trfakes.second_runs import BEST, WHY, stopped_by

ENDS = {
    "earlyStopping": ("EarlyStopped", "EarlyStopped", "the last 3 evaluations were not better"),
    "finish": ("FinishedEarly", "FinishedEarly", "spec.finish is true"),
    "maxDuration": ("MaxDurationReached", "FinishedEarly", "spec.train.maxDuration (6h) has passed"),
}


@pytest.mark.parametrize(("field", "trained", "succeeded", "why"), [(name, *end) for name, end in ENDS.items()])
def test_the_end_says_what_ended_training_and_what_was_exported(
    field: str, trained: str, succeeded: str, why: str
) -> None:
    play = stopped_by(field, train={"earlyStopping": {"patience": 3}, "maxDuration": "6h"})
    condition = play.condition("Trained")
    assert (condition["status"], condition["reason"]) == ("True", trained)
    assert condition["message"].startswith(f"Training ended at step 120 of 150 because {why}")
    assert condition["message"].endswith("Best: mAP 0.612, AP@.5 0.896 at step 90.")
    (event,) = [event for event in play.events if event.reason == trained]
    assert (event.kind, event.message) == ("Normal", condition["message"])
    assert play.condition("Succeeded")["reason"] == succeeded
    assert play.status["message"].startswith(
        f"Exported checkpoint 90 with AP@.5 0.912 ({WHY}). Training ended at step 120 of 150 because {why}"
    )
    assert play.status["training"]["stoppedBy"] == field
    assert play.status["training"]["best"] == {"step": BEST["step"], "mAP": "0.612", "ap50": "0.896"}
    assert play.status["export"]["checkpointReason"] == WHY


@pytest.mark.parametrize("field", ["", "steps", None, 7, ["finish"]], ids=repr)
def test_training_that_made_all_its_steps_is_complete(field: object) -> None:
    play = stopped_by(field)  # type: ignore[arg-type]
    assert play.condition("Trained")["reason"] == "Completed"
    assert play.condition("Succeeded")["reason"] == "Completed"
    assert "stoppedBy" not in play.status["training"]
