"""Which checkpoint is exported, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.export_choice import ExportChoice
from trainingrun_agent.transfer.resume import StoredCheckpoint


def checkpoint(step: int) -> StoredCheckpoint:
    return StoredCheckpoint(step, 1, f"1/{step}")


def choice(
    wanted: Any, scores: dict[int, float], *, steps: tuple[int, ...] = (40, 30, 20, 10), metric: Any = "mAP"
) -> Any:
    """Scores are mAP; AP@.5 is 1 less that."""
    evaluations = {checkpoint(step): Evaluation(step, score, 1 - score, 1) for step, score in scores.items()}
    return ExportChoice(wanted, metric, [checkpoint(step) for step in steps], evaluations)


ORDERS: dict[str, tuple[Any, list[int]]] = {
    "latest": (choice("latest", {10: 0.9}), [40, 30, 20, 10]),
    "best": (choice("best", {10: 0.1, 20: 0.6, 30: 0.3, 40: 0.5}), [20, 40, 30, 10]),
    "best by ap50": (choice("best", {10: 0.1, 20: 0.6, 30: 0.3, 40: 0.5}, metric="ap50"), [10, 30, 40, 20]),
    "the first of equal ones": (choice("best", {10: 0.1, 20: 0.6, 30: 0.6, 40: 0.5}), [20, 30, 40, 10]),
    "those not evaluated last, newest first": (choice("best", {10: 0.1, 30: 0.0}), [10, 30, 40, 20]),
    "nothing is evaluated": (choice("best", {}), [40, 30, 20, 10]),
    "a step": (choice(30, {10: 0.9}), [30]),
    "a step that is not there": (choice(35, {10: 0.9}), []),
    "nothing there": (choice("best", {}, steps=()), []),
}


@pytest.mark.parametrize(("made", "expected"), ORDERS.values(), ids=ORDERS)
def test_candidates_are_tried_in_order(made: ExportChoice, expected: list[int]) -> None:
    assert [one.step for one in made.candidates] == expected


UNREADABLE = "the one of step 20, with 0.600, cannot be read"
REASONS: dict[str, tuple[Any, int, str]] = {
    "latest": (choice("latest", {10: 0.9}), 40, "the latest one"),
    "a step": (choice(30, {10: 0.9}), 30, "the step that export.checkpoint names"),
    "best": (
        choice("best", {20: 0.6121, 40: 0.548}),
        20,
        "best by mAP: 0.612 at step 20; the last one, of step 40, has 0.548",
    ),
    "best is the last": (
        choice("best", {20: 0.1, 40: 0.5}),
        40,
        "best by mAP: 0.500 at step 40; it is the last one too",
    ),
    "the last was not evaluated": (
        choice("best", {20: 0.25}, metric="ap50"),
        20,
        "best by AP@.5: 0.750 at step 20; the last one, of step 40, was not evaluated",
    ),
    "the best is damaged": (
        choice("best", {20: 0.6, 30: 0.5, 40: 0.4}),
        30,
        "best by mAP: 0.500 at step 30; the last one, of step 40, has 0.400; " + UNREADABLE,
    ),
    "all that were evaluated are damaged": (
        choice("best", {20: 0.6, 30: 0.5}),
        40,
        "the latest one; no checkpoint that was evaluated can be read",
    ),
    "an older trainer": (choice("best", {}), 40, "the latest one, because no evaluation of a checkpoint is known"),
}


@pytest.mark.parametrize(("made", "step", "expected"), REASONS.values(), ids=REASONS)
def test_the_reason_is_said_in_words(made: ExportChoice, step: int, expected: str) -> None:
    assert made.reason(checkpoint(step)) == expected
    assert len(expected) <= 300


def test_steps_that_are_there_are_named_newest_first_and_not_without_end() -> None:
    assert choice(25, {}).steps_there() == "40, 30, 20, 10"
    assert choice(30, {}).steps_there() == "40, 20, 10", "one that cannot be read is not offered"
    many = choice(5, {}, steps=tuple(range(1000, 0, -10))).steps_there()
    assert many.startswith("1000, 990, ")
    assert many.endswith(", 820, 810 and 80 more")
