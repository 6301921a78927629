"""What the agent concludes from the attempts before this one: best, improvements, time, and the trainer's spec."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_run import resolved_document
from memory_store import MemoryStore
from score_series import SERIES, Series, evaluation
from trainingrun_agent.config import parse_resolved
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.training_settings import NO_CHANGES, Changes
from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.last_step import LastRecord, read_last
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.training_history import (
    Improvements,
    TrainingHistory,
    improvements,
    lineage,
    read_history,
)
from trainingrun_agent.transfer.training_spec import training_fields

RUN = BucketKeys("lab").run(namespace="team", name="tire", uid="0a1b2c3d-0000")


def resolved(**train: Any) -> Any:
    return parse_resolved(json.dumps(resolved_document("http://s3", "detectors", **train)).encode())


def scored(step: int, score: float = 0.5, epoch: int = 1) -> Evaluation:
    return Evaluation(step, score, score, epoch)


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_improvements_are_counted_as_the_trainer_does(series: Series) -> None:
    made = [evaluation(index, score) for index, score in enumerate(series.scores)]
    found = [Evaluation(one["step"], one["mAP"], one["ap50"], 1) for one in made]
    assert improvements(found, "mAP", min_delta=series.min_delta) == Improvements(series.reference, series.since)


def test_without_evaluations_there_is_nothing_to_exceed() -> None:
    assert improvements([], "mAP", min_delta=0.1) == Improvements(None, 0)


LINES: dict[str, tuple[list[tuple[int | None, list[int]]], int, list[tuple[int, int]]]] = {
    # attempts (resumed from, steps evaluated), the step to resume from, (step, epoch) that count
    "one attempt": ([(0, [10, 20, 30])], 20, [(10, 1), (20, 1)]),
    "no checkpoint": ([(0, [10])], 0, []),
    "goes on": ([(0, [10, 20]), (20, [30])], 30, [(10, 1), (20, 1), (30, 2)]),
    "steps that were lost": ([(0, [10, 20, 25]), (10, [30])], 30, [(10, 1), (30, 2)]),
    "trained again": ([(0, [10, 20]), (10, [20, 30])], 30, [(10, 1), (20, 2), (30, 2)]),
    "resumed from is evaluated again": ([(0, [10]), (10, [10])], 10, [(10, 2)]),
    "an agent of an earlier release": ([(None, [10, 20]), (20, [30])], 30, [(10, 1), (20, 1), (30, 2)]),
}


@pytest.mark.parametrize(("attempts", "resumed_from", "expected"), LINES.values(), ids=LINES)
def test_only_evaluations_on_the_way_to_the_checkpoint_count(
    attempts: list[tuple[int | None, list[int]]], resumed_from: int, expected: list[tuple[int, int]]
) -> None:
    found = lineage(
        [
            (LastRecord(resumed_from=resumed), [scored(step, epoch=epoch) for step in steps])
            for epoch, (resumed, steps) in enumerate(attempts, start=1)
        ],
        resumed_from=resumed_from,
    )
    assert [(one.step, one.epoch) for one in found] == expected


def test_the_history_is_read_from_all_attempts() -> None:
    store = MemoryStore()
    for epoch, resumed, steps, seconds in ((1, 0, {10: 0.25, 20: 0.75}, 30.5), (2, 20, {30: 0.5, 40: 0.5}, 12.0)):
        attempt = RUN.attempt("train", epoch=epoch, pod_uid="abcdef01")
        entries = [{"step": step, "mAP": score, "ap50": score} for step, score in steps.items()]
        store.put(attempt.evaluations, json.dumps({"contractVersion": 1, "evaluations": entries}).encode())
        last = {"contractVersion": 1, "step": max(steps) + 5, "trainingSeconds": seconds, "resumedFromStep": resumed}
        store.put(attempt.last_step, json.dumps(last).encode())
    checkpoints = [StoredCheckpoint(step, epoch, "") for step, epoch in ((20, 1), (40, 2))]

    def read(*stored: StoredCheckpoint) -> TrainingHistory:
        return read_history(store, RUN, before_epoch=3, checkpoints=stored, resumed_from=40, train=resolved().train)

    found = read(*checkpoints)
    assert (found.reached, found.training_seconds) == (45, 42.5)
    assert found.best == scored(20, 0.75)
    assert found.resumed == scored(40, 0.5, epoch=2)
    assert found.improvements == Improvements(0.75, 2)
    assert read(checkpoints[1]).best == scored(40, 0.5, epoch=2), "the best one has a checkpoint"


BAD_RECORDS: dict[str, bytes] = {
    "nothing": b"{}",
    "not JSON": b"[",
    "text": b'{"step": "7", "trainingSeconds": "7", "resumedFromStep": "7"}',
    "negative": b'{"step": -7, "trainingSeconds": -7, "resumedFromStep": -7}',
    "truth values": b'{"step": true, "trainingSeconds": true, "resumedFromStep": true}',
    "not a number": b'{"trainingSeconds": NaN}',
    "endless": b'{"trainingSeconds": 1e400}',
    "huge": b'{"trainingSeconds": 1' + b"0" * 400 + b"}",
}


@pytest.mark.parametrize("data", BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_last_record_that_cannot_be_used_counts_as_none(data: bytes) -> None:
    store, attempt = MemoryStore(), RUN.attempt("train", epoch=1, pod_uid="abcdef01")
    store.put(attempt.last_step, data)
    assert read_last(store, attempt) == LastRecord()


def test_an_earlier_release_records_the_step_only() -> None:
    store, attempt = MemoryStore(), RUN.attempt("train", epoch=1, pod_uid="abcdef01")
    store.put(attempt.last_step, b'{"contractVersion": 1, "step": 7}')
    assert read_last(store, attempt) == LastRecord(step=7)


def test_a_first_attempt_that_asks_for_nothing() -> None:
    fields = training_fields(resolved(), NO_CHANGES, TrainingHistory())
    assert fields == {
        "metric": "mAP",
        "best": None,
        "evaluationsSinceBest": 0,
        "resumedEvaluation": None,
        "evaluateResumed": False,
        "earlyStopping": None,
        "finish": False,
        "maxTrainingSeconds": None,
        "seed": None,
        "classWeights": None,
        "batchSize": None,
        "learningRateFactor": 1.0,
    }


def test_an_attempt_that_goes_on_knows_what_was_before() -> None:
    history = TrainingHistory(
        training_seconds=100.04, best=scored(20, 0.75), resumed=scored(40), improvements=Improvements(0.75, 2)
    )
    asked = resolved(
        metric="ap50",
        earlyStopping={"patience": 3, "minDelta": "0.01"},
        maxDurationSeconds=160,
        seed=7,
        classWeights={"tire": "2.5"},
    )
    changes = Changes(finish=True, batch_size=1, learning_rate_factor=0.5)
    assert training_fields(asked, changes, history) == {
        "metric": "ap50",
        "best": {"step": 20, "mAP": 0.75, "ap50": 0.75},
        "evaluationsSinceBest": 2,
        "resumedEvaluation": {"step": 40, "mAP": 0.5, "ap50": 0.5},
        "evaluateResumed": False,
        "earlyStopping": {"patience": 3, "minDelta": 0.01, "reference": 0.75},
        "finish": True,
        "maxTrainingSeconds": 60.0,
        "seed": 7,
        "classWeights": [2.5],
        "batchSize": 1,
        "learningRateFactor": 0.5,
    }


@pytest.mark.parametrize(
    ("own_step", "evaluated", "due"),
    [(40, None, True), (40, scored(40), False), (45, None, False), (0, None, False)],
    ids=["interrupted while it was evaluated", "evaluated", "between two evaluations", "of another run"],
)
def test_a_checkpoint_whose_evaluation_was_interrupted_is_evaluated(
    own_step: int, evaluated: Evaluation | None, due: bool
) -> None:
    """Else the curve, the best checkpoint and early stopping would miss it."""
    asked, history = resolved(evalEverySteps=20), TrainingHistory(resumed=evaluated)
    assert training_fields(asked, NO_CHANGES, history, own_step=own_step)["evaluateResumed"] is due


def test_time_that_is_used_up_is_zero_and_classes_without_a_weight_have_one() -> None:
    document = resolved_document("http://s3", "detectors", maxDurationSeconds=60, classWeights={"b": "0.5"})
    document["dataset"]["classes"] = ["a", "b"]
    run = parse_resolved(json.dumps(document).encode())
    fields = training_fields(run, NO_CHANGES, TrainingHistory(training_seconds=90))
    assert (fields["maxTrainingSeconds"], fields["classWeights"]) == (0.0, [1.0, 0.5])


def test_the_metric_decides_which_evaluation_is_the_best() -> None:
    by_map, by_ap50 = Evaluation(10, 0.5, 0.6, 1), Evaluation(20, 0.4, 0.9, 1)
    assert improvements([by_map, by_ap50], "ap50", min_delta=0.0).reference == 0.9
