"""A training that is interrupted goes on exactly where its checkpoint is: with real agents and real TensorFlow.

It is compared with one of the same seed that nothing interrupts. The position in the input is in no checkpoint, so
that after the first interruption the two see other images, and only then do losses and scores differ.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from statistics import fmean
from typing import Any, NamedTuple

import pytest
from interrupted_training import PYTHON, Ended, Training, new_training

from trservers import catalogue
from trservers.server import Server

pytestmark = pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14")
STEPS, SAVE_EVERY, EVAL_EVERY = 120, 20, 30
EVALUATED = [40, 60, 100, 120]
"""The first checkpoint at or after each multiple of EVAL_EVERY."""
SEED = 11
LAST_STEPS = 40
LOSS, SCORE = 0.1, 0.15
"""How much the loss, as a fraction, and the scores may differ. LOSS is about the mean of LAST_STEPS steps.

With five interruptions, the loss differed by 0.009 and mAP by 0.03; two trainings of one seed are equal on a CPU.
"""


class Interruption(NamedTuple):
    """The trainer gets the signal at `step`, and the next attempt resumes from `saved`."""

    step: int
    signal: str
    saved: int


def interruptions(seed: int) -> list[Interruption]:
    """Five interruptions at steps by chance, each in another situation."""
    chance = random.Random(seed)  # noqa: S311 - steps, not secrets
    between = chance.randrange(SAVE_EVERY + 11, 2 * SAVE_EVERY)  # a multiple of EVAL_EVERY is before it
    after = chance.randrange(4 * SAVE_EVERY + 1, 5 * SAVE_EVERY)
    last = chance.randrange(5 * SAVE_EVERY + 1, STEPS)
    return [
        Interruption(chance.randrange(1, SAVE_EVERY), "SIGKILL", 0),  # nothing is saved
        Interruption(between, "SIGTERM", between),
        Interruption(
            3 * SAVE_EVERY, "SIGTERM", 3 * SAVE_EVERY
        ),  # before the evaluation of the checkpoint that it saves
        Interruption(after, "SIGKILL", 4 * SAVE_EVERY),
        Interruption(last, "SIGTERM", last),
    ]


class Lives(NamedTuple):
    """An uninterrupted training and the attempts of an interrupted one, the last of which ended by itself."""

    whole: Ended
    whole_run: Training
    attempts: list[Ended]
    run: Training
    planned: list[Interruption]
    checkpoints: list[dict[str, str]]  # that each attempt had to resume from; none for the first ones


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with catalogue.running(catalogue.MOTO, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((1, 2), id="once", marks=pytest.mark.tensorflow),
        pytest.param((0, 5), id="five times", marks=pytest.mark.long),
    ],
)
def lives(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Lives:
    root, cadence = tmp_path_factory.mktemp("resume"), {"saveEverySteps": SAVE_EVERY, "evalEverySteps": EVAL_EVERY}
    whole, run = (
        new_training(
            root / name, server, f"{name}-{len(str(root))}-{request.param[1]}", steps=STEPS, seed=SEED, **cadence
        )
        for name in ("whole", "interrupted")
    )
    planned = interruptions(SEED)[slice(*request.param)]
    attempts, checkpoints = [], []
    for number, each in enumerate([*planned, None]):
        into = root / f"checkpoint-{number}"
        into.mkdir()
        saved = planned[number - 1].saved if number else 0
        checkpoints.append(run.stored_checkpoint(saved, into) if saved else {})
        attempts.append(run.train(f"{each.step} {each.signal}" if each else ""))
    return Lives(whole.train(), whole, attempts, run, planned, checkpoints)


def resumed_from(lives: Lives) -> list[int]:
    return [0, *(each.saved for each in lives.planned)]


def made(lives: Lives, what: str) -> dict[int, float]:
    """A number of each step that counts: that of the last attempt that made it."""
    return {step: value for attempt in lives.attempts for step, value in getattr(attempt, what).items()}


def lineage(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The evaluations that count: the last of each step."""
    return [*{one["step"]: one for one in evaluations}.values()]


def test_each_attempt_ends_and_resumes_where_it_must(lives: Lives) -> None:
    outcomes = {"SIGKILL": "crash", "SIGTERM": "interrupted", "": "succeeded"}
    ends = [*(each.signal for each in lives.planned), ""]
    assert [attempt.verdict["outcome"] for attempt in lives.attempts] == [outcomes[end] for end in ends]
    assert [attempt.spec["resumedFromStep"] for attempt in lives.attempts] == resumed_from(lives)
    for attempt, first in zip(lives.attempts, resumed_from(lives), strict=True):
        assert min(attempt.rates) == first + 1
    assert sorted(made(lives, "rates")) == sorted(lives.whole.rates) == list(range(1, STEPS + 1))


def test_all_variables_are_restored_bit_by_bit(lives: Lives) -> None:
    """Of model and optimizer, and the step: there is none that is not in the checkpoint."""
    for attempt, checkpoint in zip(lives.attempts, lives.checkpoints, strict=True):
        assert attempt.restored == (checkpoint or lives.whole.restored)
    names = lives.whole.restored.keys()
    assert names >= {"global_step", "beta1_power", "beta2_power"}
    for slot in ("/Adam", "/Adam_1"):
        assert sum(name.endswith(slot) for name in names) > 50


def test_the_learning_rate_of_every_step_is_the_same(lives: Lives) -> None:
    assert made(lives, "rates") == lives.whole.rates


def test_the_same_steps_are_evaluated_and_the_best_is_known_to_every_attempt(lives: Lives) -> None:
    evaluations = lineage(lives.run.evaluations())
    assert [one["step"] for one in evaluations] == [one["step"] for one in lives.whole_run.evaluations()] == EVALUATED
    for attempt, resumed in zip(lives.attempts, resumed_from(lives), strict=True):
        # That of the checkpoint itself was interrupted: the attempt makes it first.
        done = [one for one in evaluations if one["step"] <= resumed and not is_missing(one["step"], lives, resumed)]
        assert attempt.spec["best"] == max(done, key=lambda one: one["mAP"], default=None)
    best = max(evaluations, key=lambda one: one["mAP"])
    assert lives.attempts[-1].verdict["numbers"]["best"] == best


def is_missing(step: int, lives: Lives, resumed: int) -> bool:
    return any(each == Interruption(step, "SIGTERM", step) for each in lives.planned) and step == resumed


def test_until_the_first_interruption_nothing_differs(lives: Lives) -> None:
    """On a CPU a seed repeats every number."""
    first = lives.attempts[0].losses
    assert len(first) == lives.planned[0].step
    assert first == {step: lives.whole.losses[step] for step in first}


def test_losses_and_scores_agree(lives: Lives) -> None:
    last = range(STEPS - LAST_STEPS + 1, STEPS + 1)
    interrupted, whole = (
        fmean(losses[step] for step in last) for losses in (made(lives, "losses"), lives.whole.losses)
    )
    assert interrupted == pytest.approx(whole, rel=LOSS)
    scores = [lineage(run.evaluations())[-1] for run in (lives.run, lives.whole_run)]
    for name in ("ap50", "mAP"):
        assert scores[0][name] == pytest.approx(scores[1][name], abs=SCORE)
    print({"loss": (interrupted, whole), "scores": scores})
