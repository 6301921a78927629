"""Tests of the steps at which a training is evaluated: interruptions change none of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_run import resolved_document
from trainingrun_agent.config import parse_resolved
from trainingrun_agent.training_settings import NO_CHANGES
from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.training_history import TrainingHistory
from trainingrun_agent.transfer.training_spec import training_fields
from trainingrun_trainer.cadence import EvaluationSteps

STEPS = 24
CADENCES = [(save, every) for save in (1, 2, 3, 5, 8) for every in (1, 2, 4, 6, 7, 12)]


def spec(save: int, every: int, resumed: int = 0) -> dict[str, Any]:
    return {"saveEverySteps": save, "evalEverySteps": every, "resumedFromStep": resumed}


def evaluated(save: int, every: int, *, resumed: int = 0, until: int = STEPS) -> list[int]:
    """What one attempt evaluates on its way from a checkpoint to `until`, which is its last step."""
    steps = EvaluationSteps(spec(save, every, resumed))
    return [step for step in range(resumed + 1, until + 1) if step % save == 0 and steps.take(step)]


def evaluates_resumed(save: int, every: int, *, step: int, known: bool) -> bool:
    """Whether the agent asks the trainer to evaluate the checkpoint that it resumes from."""
    document = resolved_document("http://s3", "detectors", saveEverySteps=save, evalEverySteps=every)
    history = TrainingHistory(resumed=Evaluation(step, 0.5, 0.5, 1) if known else None)
    asked = parse_resolved(json.dumps(document).encode())
    return bool(training_fields(asked, NO_CHANGES, history, own_step=step)["evaluateResumed"])


@pytest.mark.parametrize(
    ("save", "every", "expected"),
    [
        (5, 10, [10, 20]),
        (10, 5, [10, 20]),
        (5, 7, [10, 15]),
        (4, 6, [8, 12, 20, 24]),
    ],
)
def test_the_first_checkpoint_at_or_after_each_multiple_is_evaluated(
    save: int, every: int, expected: list[int]
) -> None:
    assert evaluated(save, every) == expected


@pytest.mark.parametrize("last_is_evaluated", [True, False], ids=["evaluated", "interrupted while it was evaluated"])
@pytest.mark.parametrize(("save", "every"), CADENCES)
def test_a_killed_training_is_evaluated_at_the_same_steps(save: int, every: int, last_is_evaluated: bool) -> None:
    """The next attempt resumes from the last regular checkpoint."""
    whole = evaluated(save, every)
    for killed in range(1, STEPS):
        resumed = killed // save * save
        done = [step for step in whole if step < resumed or (step == resumed and last_is_evaluated)]
        if evaluates_resumed(save, every, step=resumed, known=resumed in done):
            done.append(resumed)
        assert done + evaluated(save, every, resumed=resumed) == whole


@pytest.mark.parametrize(("save", "every"), CADENCES)
def test_a_checkpoint_that_sigterm_saved_is_no_other_evaluation(save: int, every: int) -> None:
    """SIGTERM arrives before the checkpoint that it saves can be evaluated, also if that one is regular."""
    whole = evaluated(save, every)
    for resumed in range(1, STEPS):
        done = [step for step in whole if step < resumed]
        if evaluates_resumed(save, every, step=resumed, known=False):
            done.append(resumed)
        assert done + evaluated(save, every, resumed=resumed) == whole


def test_a_checkpoint_that_may_be_bad_leaves_its_evaluation_to_the_next() -> None:
    """It is not announced, so `take` is not called for it."""
    steps = EvaluationSteps(spec(5, 10))
    assert [step for step in (5, 15, 20) if steps.take(step)] == [15, 20]
