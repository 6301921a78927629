"""A training that is interrupted and goes on, in real TensorFlow 1.14: nothing is lost and nothing is done twice."""

from __future__ import annotations

import math
import os
import shutil
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
STEPS, SAVED, RATE = 40, 2, 0.01
FILES = [f"model.ckpt-{SAVED}.{suffix}" for suffix in ("index", "data-00000-of-00001")]
BEST = {"step": 1, "mAP": 0.987654321, "ap50": 0.9987654321}

WEIGHTED = """
import tensorflow as tf
from trainingrun_trainer.batches import model_fn_creator

def create(*arguments):
    assert arguments == ("model", "configs")
    return lambda features, labels, mode, params: labels

model_fn = model_fn_creator(create, [1.0, 2.5])("model", "configs")
labels = {
    "groundtruth_classes": tf.constant([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]]),
    "groundtruth_weights": tf.constant([[1.0, 0.5, 0.0]]),
    "groundtruth_boxes": "untouched",
}
weighted = model_fn({"hash": tf.constant([1])}, labels, "train")
assert weighted["groundtruth_boxes"] == "untouched"
with tf.Session() as session:
    print(session.run(weighted["groundtruth_weights"]).tolist())
"""


@pytest.fixture(scope="module")
def begun(first: Any) -> Any:
    """A folder whose training has ended after two steps, because its time was over."""
    first.spec = lay_out(first.root, steps=STEPS, save_every=STEPS, images=(16, 2), learning_rate=str(RATE))
    first.write("spec.json", {**first.spec, "maxTrainingSeconds": 1e-6})
    first.done, first.log = first.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    return first


@pytest.fixture
def goes_on(begun: Any, shared: Any) -> Any:
    """The next attempt: like the agent, it gives the trainer the data and the files of the checkpoint, no more."""
    for name in ("dataset", "pipeline.config"):
        source = begun.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, shared.root / name)
    model = shared.root / "model"
    model.mkdir()
    for name in FILES:
        shutil.copy(begun.root / "model" / name, model / name)
    state = f'model_checkpoint_path: "model.ckpt-{SAVED}"\nall_model_checkpoint_paths: "model.ckpt-{SAVED}"\n'
    (model / "checkpoint").write_text(state)
    shared.spec = {**begun.spec, "resumedFromStep": SAVED, "metric": "mAP", "best": BEST}
    return shared


def content(root: Path) -> list[bytes]:
    return [(root / "model" / name).read_bytes() for name in FILES]


def rate_of(step: int) -> float:
    """The learning rate with which `step` is made, by the schedule in pipeline.config (tests/agent/pipeline)."""
    warmup = STEPS // 15
    return RATE / 2 * (1 + math.cos(math.pi * (step - 1 - warmup) / (STEPS - warmup)))


def test_a_training_whose_time_is_over_is_evaluated_and_succeeds(begun: Any) -> None:
    done = begun.done
    assert (done["outcome"], done["step"], done["stoppedBy"]) == ("succeeded", SAVED, "maxDuration"), begun.log
    scores = {"step": SAVED, "mAP": done["mAP"], "ap50": done["ap50"]}
    assert done["best"] == begun.read("progress.json")["best"] == scores
    assert begun.read("evaluations.json")["evaluations"] == [scores]
    assert begun.read("ready/00000002.json")["step"] == SAVED
    assert done["peakMemoryBytes"] > 100 << 20


def test_going_on_restores_every_bit_and_ends_when_nothing_gets_better(begun: Any, goes_on: Any) -> None:
    """Before its first step, TensorFlow saves what it restored: variables, what the optimizer remembers, the step."""
    before = content(begun.root)
    spec = {**goes_on.spec, "saveEverySteps": 1, "evalEverySteps": 1, "evaluateResumed": True}
    goes_on.write("spec.json", {**spec, "earlyStopping": {"patience": 2, "minDelta": 0.0, "reference": BEST["mAP"]}})
    done, log = goes_on.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert content(goes_on.root) == before
    assert (done["outcome"], done["step"], done["stoppedBy"]) == ("succeeded", SAVED + 1, "earlyStopping"), log
    assert done["best"] == goes_on.read("progress.json")["best"] == BEST
    # The attempt before was interrupted in the evaluation of its last checkpoint.
    assert [one["step"] for one in goes_on.read("evaluations.json")["evaluations"]] == [SAVED, SAVED + 1]
    assert goes_on.read("progress.json")["learningRate"] == pytest.approx(rate_of(SAVED + 1), rel=1e-5)


def test_finish_at_a_checkpoint_that_was_evaluated_does_nothing(goes_on: Any) -> None:
    known = {"step": SAVED, "mAP": 0.25, "ap50": 0.5}
    goes_on.write("spec.json", {**goes_on.spec, "finish": True, "resumedEvaluation": known})
    done, log = goes_on.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (done["outcome"], done["step"], done["stoppedBy"]) == ("succeeded", SAVED, "finish"), log
    assert (done["mAP"], done["ap50"], done["best"]) == (0.25, 0.5, BEST)
    assert not (goes_on.root / "evaluations.json").exists()
    assert not list((goes_on.root / "model").rglob("events*"))


def test_boxes_get_the_weight_of_their_class(shared: Any) -> None:
    environment = {**os.environ, "TF_PYTHONPATH": str(shared.package), "TF_CPP_MIN_LOG_LEVEL": "2"}
    log = run([PYTHON, "-c", WEIGHTED], env=environment, timeout=PATIENCE)
    assert log.splitlines()[-1] == "[[1.0, 1.25, 0.0]]"
