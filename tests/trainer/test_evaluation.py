"""Evaluations in one graph and one session, compared with Estimator.evaluate in real TensorFlow 1.14."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from trainer_runs import PATIENCE, lay_out

from trcluster.command import run

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
PROGRAM = Path(__file__).with_name("api_evaluation.py")
STEPS, IMAGES = 40, 6


@pytest.fixture(scope="module")
def found(first: Any) -> Any:
    """Metrics and events of both programs, for two checkpoints of a short training."""
    spec = lay_out(first.root, steps=STEPS, save_every=STEPS // 2, images=(16, IMAGES))
    first.write("spec.json", spec)
    done, log = first.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert done["outcome"] == "succeeded", log
    first.progress = first.read("progress.json")
    environment = {**os.environ, "TF_PYTHONPATH": str(first.package), "TF_CPP_MIN_LOG_LEVEL": "2"}
    run([PYTHON, PROGRAM, first.root], env=environment, timeout=PATIENCE)
    return json.loads((first.root / "compared.json").read_text())


def test_metrics_are_those_of_the_estimator(found: Any) -> None:
    assert len(found["ours"]) == len(found["stock"]) == 3
    for ours, stock in zip(found["ours"], found["stock"], strict=True):
        assert list(ours) == list(stock)
        pictures = {name for name, value in stock.items() if isinstance(value, str)}
        assert pictures
        assert {name: ours[name] for name in pictures} == {name: stock[name] for name in pictures}
        numbers = stock.keys() - pictures
        assert {name: ours[name] for name in numbers} == pytest.approx(
            {name: stock[name] for name in numbers}, abs=1e-6
        )
    assert found["ours"][0] == found["ours"][2] != found["ours"][1]


def test_summaries_are_those_of_the_estimator(found: Any) -> None:
    ours, stock = found["our events"], found["stock events"]
    assert [event[:3] for event in ours] == [event[:3] for event in stock]
    assert {kind for _, _, kind, _ in ours} == {"simple_value", "image", "tensor"}
    for (*_, one), (*_, other) in zip(ours, stock, strict=True):
        assert one == (pytest.approx(other, abs=1e-6) if isinstance(other, float) else other)


def test_progress_reports_how_long_the_graphs_took(found: Any, first: Any) -> None:
    assert first.progress["buildSeconds"].keys() == {"training", "evaluation"}
    assert all(seconds > 0 for seconds in first.progress["buildSeconds"].values())
    assert "building" not in first.progress


def test_the_graph_of_the_training_is_written_once(found: Any, first: Any) -> None:
    assert found["graphs"] == {"model": 1, "eval_0": 0}
    assert not [path for path in (first.root / "model").iterdir() if path.suffix in (".meta", ".pbtxt")]
