"""Which checkpoints stay, decided from a table: steps, attempts, scores and ages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trainingrun_agent.training_settings import KeepCheckpoints
from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.retention import superfluous

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
SCORES = {10: 0.1, 20: 0.5, 30: 0.3, 40: 0.5, 50: 0.2}


def checkpoint(step: int, epoch: int = 1) -> StoredCheckpoint:
    return StoredCheckpoint(step, epoch, f"{epoch}/{step}")


def deleted(
    rule: KeepCheckpoints,
    *,
    steps: tuple[int, ...] = (10, 20, 30, 40, 50),
    scores: dict[int, float] = SCORES,
    minutes_apart: float = 20,
    **changes: Any,
) -> list[int]:
    """Steps that are deleted, of checkpoints of one attempt; the AP@.5 of a checkpoint is 1 less its mAP."""
    checkpoints = [checkpoint(step) for step in steps]
    known = {one: Evaluation(one.step, scores[one.step], 1 - scores[one.step], 1) for one in checkpoints}
    ages = {one: START + number * timedelta(minutes=minutes_apart) for number, one in enumerate(checkpoints)}
    options: dict[str, Any] = {
        "evaluations": known,
        "metric": "mAP",
        "export": "latest",
        "created": ages,
        "needed": set(),
    } | changes
    return [one.step for one in superfluous(checkpoints, rule, **options)]


CASES: dict[str, tuple[KeepCheckpoints, dict[str, Any], list[int]]] = {
    "the last": (KeepCheckpoints(2, 0, None), {}, [10, 20, 30]),
    "more than there are": (KeepCheckpoints(9, 0, None), {}, []),
    "the newest, whatever the rule": (KeepCheckpoints(0, 0, None), {}, [10, 20, 30, 40]),
    "the best, the first of equal ones": (KeepCheckpoints(1, 1, None), {}, [10, 30, 40]),
    "the two best": (KeepCheckpoints(1, 2, None), {}, [10, 30]),
    "the best by ap50": (KeepCheckpoints(1, 1, None), {"metric": "ap50"}, [20, 30, 40]),
    "the best, because it is exported": (KeepCheckpoints(1, 0, None), {"export": "best"}, [10, 30, 40]),
    "the best of two, and it is exported": (KeepCheckpoints(1, 2, None), {"export": "best"}, [10, 30]),
    "no evaluation is known": (KeepCheckpoints(1, 3, None), {"evaluations": {}}, [10, 20, 30, 40]),
    "the step that is exported": (KeepCheckpoints(1, 0, None), {"export": 30}, [10, 20, 40]),
    "what a result names": (KeepCheckpoints(1, 0, None), {"needed": {"1/30"}}, [10, 20, 40]),
    "one each hour": (KeepCheckpoints(1, 0, 1), {}, [10, 30, 40]),  # 0:30 0:50 | 1:10 1:30 1:50
    "one every two hours": (KeepCheckpoints(1, 0, 2), {}, [10, 20, 30, 40]),
    "one each hour, hours apart": (KeepCheckpoints(1, 0, 1), {"minutes_apart": 60}, []),
    "one each hour, of unknown age": (KeepCheckpoints(1, 0, 1), {"created": {}}, []),
    "all rules at once": (KeepCheckpoints(2, 1, 1), {"export": 10}, [30]),
    "nothing there": (KeepCheckpoints(1, 1, 1), {"steps": ()}, []),
}


@pytest.mark.parametrize(("rule", "changes", "expected"), CASES.values(), ids=CASES)
def test_rules_add_up(rule: KeepCheckpoints, changes: dict[str, Any], expected: list[int]) -> None:
    assert deleted(rule, **changes) == expected


def test_deleting_after_each_checkpoint_leaves_one_for_each_hour() -> None:
    """The rule is applied again and again to what it left; nothing else is remembered."""
    left: dict[StoredCheckpoint, datetime] = {}
    for number in range(60):
        left[checkpoint(number)] = START + number * timedelta(minutes=10)
        rule = KeepCheckpoints(2, 0, 1)
        options: dict[str, Any] = {"evaluations": {}, "metric": "mAP", "export": "latest", "needed": ()}
        for one in superfluous(left, rule, created=left, **options):
            del left[one]
    hours = [when.hour for when in left.values()]
    assert hours == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]


def test_the_last_are_those_of_the_newest_attempt() -> None:
    """A checkpoint of an earlier attempt may be damaged, or of a training that diverged later."""
    checkpoints = [checkpoint(100, epoch=1), checkpoint(500, epoch=1), checkpoint(200, epoch=2)]
    options: dict[str, Any] = {"evaluations": {}, "metric": "mAP", "export": "latest", "created": {}, "needed": ()}
    found = superfluous(checkpoints, KeepCheckpoints(1, 0, None), **options)
    assert found == [checkpoint(100, epoch=1), checkpoint(500, epoch=1)]


def test_a_rule_reads_as_in_the_spec() -> None:
    assert str(KeepCheckpoints(3, 1, None)) == "keepCheckpoints {last: 3, best: 1}"
    assert str(KeepCheckpoints(3, 1, 6)) == "keepCheckpoints {last: 3, best: 1, everyHours: 6}"


def of_two_attempts(scores: dict[tuple[int, int], float], *, last: int) -> list[tuple[int, int]]:
    """Steps and attempts of what is deleted when the best is exported."""
    checkpoints = [checkpoint(step, epoch) for step, epoch in scores]
    known = {checkpoint(*key): Evaluation(key[0], score, score, key[1]) for key, score in scores.items()}
    rule = KeepCheckpoints(last, 1, None)
    found = superfluous(
        checkpoints, rule, evaluations=known, metric="mAP", export="best", created={}, needed=frozenset()
    )
    return [(one.step, one.epoch) for one in found]


def test_of_equally_good_checkpoints_of_a_step_the_one_stays_that_is_exported() -> None:
    assert of_two_attempts({(10, 1): 0.5, (10, 2): 0.5, (20, 2): 0.1}, last=1) == [(10, 1)]


def test_an_evaluation_is_not_taken_for_one_of_an_older_checkpoint_of_its_step() -> None:
    scores = {(10, 1): 0.9, (20, 1): 0.2, (10, 2): 0.1, (20, 2): 0.2, (30, 2): 0.3}
    assert of_two_attempts(scores, last=1) == [(20, 1), (20, 2)]
