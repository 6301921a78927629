"""The trainer in real TensorFlow 1.14: it learns, resumes at the exact step, exports, and starts from exports."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from trainer_runs import DEMO, PATIENCE, exporting, fitting, lay_out

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS, SAVE_EVERY, SHORT = 150, 50, 30
EVAL_IMAGES = 16


@pytest.fixture(scope="module")
def learned(first: Any) -> Any:
    """A folder with a finished training, interrupted once on its way, and its export."""
    spec = lay_out(first.root, steps=STEPS, save_every=SAVE_EVERY, images=(64, EVAL_IMAGES))
    first.write("spec.json", spec)
    process = first.start("train", python=PYTHON)
    first.wait_for("ready/00000050.json", process, seconds=PATIENCE)
    process.send_signal(signal.SIGTERM)
    code, log = first.end_of(process, seconds=PATIENCE)
    assert (code, first.read("done.json")["outcome"]) == (1, "interrupted"), log
    assert not (first.root / "model" / "eval_0").exists()
    first.saved = max(ready_steps(first.root))
    assert SAVE_EVERY <= first.saved < STEPS

    first.write("spec.json", {**spec, "resumedFromStep": first.saved})
    first.trained, log = first.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert first.trained["outcome"] == "succeeded", log
    first.write("spec.json", exporting(spec, ap50=first.trained["ap50"]))
    first.exported, log = first.outcome_of("export", python=PYTHON, seconds=PATIENCE)
    assert first.exported["outcome"] == "succeeded", log
    return first


def ready_steps(root: Path) -> set[int]:
    return {int(path.stem) for path in (root / "ready").iterdir()}


def test_it_learns_and_resumes_at_the_exact_step(learned: Any) -> None:
    assert learned.trained["step"] == STEPS
    assert learned.trained["ap50"] >= 0.5
    # Saves are counted from the step that training resumed at, so their steps prove which one it was.
    assert ready_steps(learned.root) == {SAVE_EVERY, STEPS, *range(learned.saved, STEPS, SAVE_EVERY)}


def test_the_export_detects_what_was_learned(learned: Any) -> None:
    assert learned.exported["evalImages"] == EVAL_IMAGES
    assert learned.exported["ap50"] >= 0.5
    export = learned.root / "export"
    files = {str(path.relative_to(export)) for path in export.rglob("*") if path.is_file()}
    pictures = {f"pictures/{number}.png" for number in range(EVAL_IMAGES)}
    assert files == pictures | {
        "frozen_inference_graph.pb",
        "saved_model/1/saved_model.pb",
        "checkpoint/model.ckpt.index",
        "checkpoint/model.ckpt.data-00000-of-00001",
        "label_map.pbtxt",
        "pipeline.config",
        "metrics.json",
    }


def test_weights_of_an_export_are_a_head_start(learned: Any, shared: Any) -> None:
    fine_tuned, log = short_training(shared, weights=learned.root / "export" / "checkpoint")
    assert fine_tuned["ap50"] >= 0.5, log
    assert re.search(r"pretrained: ([1-9]\d*) of \1 variables", log)


def test_as_few_steps_without_weights_learn_little(shared: Any) -> None:
    """Otherwise the test with weights of an export would prove nothing."""
    from_scratch, log = short_training(shared, weights=None)
    assert from_scratch["ap50"] < 0.3, log


def short_training(shared: Any, *, weights: Path | None) -> tuple[dict[str, Any], str]:
    if weights is not None:
        shutil.copytree(weights, shared.root / "pretrained")
    spec = lay_out(
        shared.root,
        steps=SHORT,
        save_every=SHORT,
        images=(64, EVAL_IMAGES),
        learning_rate="0.005",
        pretrained=weights is not None,
    )
    shared.write("spec.json", spec)
    done, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert done["outcome"] == "succeeded", log
    return done, log


def test_prep_recognises_the_network_of_the_weights(learned: Any) -> None:
    assert fitting(learned.root / "model" / f"model.ckpt-{STEPS}") == [DEMO]
    assert fitting(learned.root / "export" / "checkpoint" / "model.ckpt") == [DEMO]


def test_weights_of_another_network_are_refused(learned: Any, shared: Any) -> None:
    shutil.copytree(learned.root / "export" / "checkpoint", shared.root / "pretrained")
    spec = lay_out(
        shared.root, steps=2, save_every=2, images=(2, 1), network="ssd_mobilenet_v1", batch_size=1, pretrained=True
    )
    shared.write("spec.json", spec)
    done, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (done["outcome"], done["reason"]) == ("userError", "PretrainedMismatch"), log
    assert not (shared.root / "ready").exists()
