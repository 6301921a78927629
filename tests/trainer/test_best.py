"""Which evaluation is the best, and when early stopping asks for the end; also when training was interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from score_series import SERIES, Series, evaluation
from trainingrun_trainer.best import Evaluations
from trainingrun_trainer.shared_folder import SharedFolder

CONTRACTS = Path(__file__).parents[2] / "images" / "contracts"


def add_all(evaluations: Evaluations, series: Series, first: int = 0) -> None:
    for index, score in enumerate(series.scores[first:], start=first):
        one = evaluation(index, score)
        evaluations.add(one["step"], {"mAP": one["mAP"], "ap50": one["ap50"]})


def asking(series: Series, *, patience: int) -> dict[str, Any]:
    return {"metric": "mAP", "earlyStopping": {"patience": patience, "minDelta": series.min_delta, "reference": None}}


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_best_and_patience(series: Series) -> None:
    for patience in (1, 2, 3):
        evaluations = Evaluations(asking(series, patience=patience))
        add_all(evaluations, series)
        assert evaluations.best == evaluation(series.best, series.scores[series.best])
        assert evaluations.enough is (series.since >= patience)


@pytest.mark.parametrize("series", [one for one in SERIES.values() if len(one.scores) > 1])
def test_an_interruption_changes_no_decision(series: Series) -> None:
    """The spec of the second attempt has what the agent concludes from the evaluations of the first."""
    whole = Evaluations(asking(series, patience=2))
    add_all(whole, series)
    for cut in range(1, len(series.scores)):
        before = Evaluations(asking(series, patience=2))
        add_all(before, Series(series.scores[:cut], *series[1:]))
        spec = asking(series, patience=2)
        spec["earlyStopping"]["reference"] = before._to_exceed
        after = Evaluations({**spec, "best": before.best, "evaluationsSinceBest": before._since_improvement})
        add_all(after, series, first=cut)
        assert (after.best, after.enough) == (whole.best, whole.enough)


def test_without_early_stopping_it_never_asks_for_the_end() -> None:
    for spec in ({}, {"metric": "mAP", "earlyStopping": None}):
        evaluations = Evaluations(spec)
        add_all(evaluations, SERIES["flat"])
        assert not evaluations.enough


def test_the_metric_decides_what_is_best() -> None:
    evaluations = Evaluations({"metric": "ap50"})
    evaluations.add(10, {"mAP": 0.2, "ap50": 0.9})
    evaluations.add(20, {"mAP": 0.4, "ap50": 0.8})
    assert evaluations.best == {"step": 10, "mAP": 0.2, "ap50": 0.9}


def test_the_document_has_the_evaluations_of_this_attempt(tmp_path: Path) -> None:
    evaluations = Evaluations({"metric": "mAP", "best": {"step": 5, "mAP": 0.9, "ap50": 0.9}})
    add_all(evaluations, SERIES["rising"])
    evaluations.write(SharedFolder(str(tmp_path)))
    document = json.loads((tmp_path / "evaluations.json").read_text())
    schema = json.loads((CONTRACTS / "shared-evaluations.schema.json").read_text())
    Draft202012Validator(schema).validate(document)
    assert document["evaluations"] == [evaluation(index, score) for index, score in enumerate((0.1, 0.2, 0.3))]
    assert evaluations.best is not None
    assert evaluations.best["step"] == 5
