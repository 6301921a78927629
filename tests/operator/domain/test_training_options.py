"""Options of a second run in the resolved document: defaults of new runs, numbers and durations."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.domain.resolve import resolve
from trainingrun.domain.training_options import decimal, seconds
from trfakes.builders import SETTINGS, RunBuilder, a_run
from trfakes.schema import contract, crd_part, errors

ALL = {
    "metric": "ap50",
    "earlyStopping": {"patience": 5, "minDelta": 0.002},
    "maxDuration": "1h30m",
    "onDivergence": "Rollback",
    "onOutOfMemory": "HalveBatch",
    "retries": {"interrupted": 100, "crash": 0, "stalled": 1, "storageOutage": 2, "outOfMemory": 3},
    "keepCheckpoints": {"last": 5, "best": 2, "everyHours": 6},
}
GATE = {"minMAP": 0.5, "perClass": [{"class": "tire", "minAP50": 1}, {"minMAP": 0.25, "minAP50": 0}]}


def resolved(builder: RunBuilder) -> dict[str, Any]:
    run = builder.build()
    assert errors(crd_part("spec"), dict(run.spec)) == []
    document = resolve(run, settings=SETTINGS, find_run=lambda _: None)
    assert errors(contract("resolved"), document) == []
    return document


def test_a_new_run_exports_the_best_checkpoint_and_keeps_few() -> None:
    document = resolved(a_run())
    assert document["export"] == {"evalImages": 500, "checkpoint": "best", "gate": None}
    train = document["train"]
    assert {name: train[name] for name in ALL if name in train} == {
        "metric": "mAP",
        "earlyStopping": None,
        "onDivergence": "Fail",
        "onOutOfMemory": "Fail",
        "retries": {},
        "keepCheckpoints": {"last": 3, "best": 1, "everyHours": None},
    }
    assert train["maxDurationSeconds"] is None


def test_what_is_asked_for_is_in_the_document() -> None:
    document = resolved(a_run().spec(train=ALL, export={"checkpoint": 120, "gate": GATE}))
    train = document["train"]
    assert train["earlyStopping"] == {"patience": 5, "minDelta": "0.002"}
    assert train["maxDurationSeconds"] == 5400
    for name in ("metric", "onDivergence", "onOutOfMemory", "retries", "keepCheckpoints"):
        assert train[name] == ALL[name]
    assert document["export"]["checkpoint"] == 120
    assert document["export"]["gate"] == {
        "minMAP": "0.5",
        "minAP50": None,
        "perClass": [
            {"class": "tire", "minMAP": None, "minAP50": "1"},
            {"class": None, "minMAP": "0.25", "minAP50": "0"},
        ],
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [("6h", 21600), ("1h30m", 5400), ("90m", 5400), ("45s", 45), ("1h1m1s", 3661), ("8760h", 31536000)],
)
def test_a_duration(text: str, number: int) -> None:
    assert seconds(text) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1, "1"),
        (0.8, "0.8"),
        (0.002, "0.002"),
        (1e-5, "0.00001"),
        (1e-20, "0"),
        (1.0, "1"),
        (1 / 3, "0.333333333333"),
    ],
)
def test_a_number_is_written_without_an_exponent(number: float, text: str) -> None:
    assert decimal(number) == text
