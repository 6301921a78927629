"""The trainer in real TensorFlow 1.14: it learns, resumes at the exact step, exports, and starts from exports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from trainer_runs import DEMO, PATIENCE, exporting, fitting, lay_out

from trcluster.command import run
from trdemo.tires import SIZE, draw_set

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
PYTHON_TF2 = os.environ.get("TRAININGRUN_TF2_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS, SAVE_EVERY, SHORT = 150, 50, 30
EVAL_IMAGES = 16
VARIABLES = 143
"""Variables of the network of the demo: 135 of its feature extractor, 4 of its class heads, 4 of its box heads."""


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
    # Checkpoints have the same steps as without the interruption, and there is the one of the interruption.
    assert ready_steps(learned.root) == {*range(SAVE_EVERY, STEPS, SAVE_EVERY), learned.saved, STEPS}


def test_the_export_detects_what_was_learned(learned: Any) -> None:
    assert learned.exported["evalImages"] == EVAL_IMAGES
    assert learned.exported["ap50"] >= 0.5
    export = learned.root / "export"
    files = {str(path.relative_to(export)) for path in export.rglob("*") if path.is_file()}
    pictures = {f"pictures/{number:03d}-eval_{number:04d}.png" for number in range(EVAL_IMAGES)}
    assert files == pictures | {
        "frozen_inference_graph.pb",
        "saved_model/1/saved_model.pb",
        "checkpoint/model.ckpt.index",
        "checkpoint/model.ckpt.data-00000-of-00001",
        "label_map.pbtxt",
        "pipeline.config",
        "metrics.json",
        "README.md",
    }


def test_the_export_reaches_what_training_measured(learned: Any) -> None:
    """On the same checkpoint and images; with another JPEG decoder than training's, mAP differed by 0.005."""
    for score in ("ap50", "mAP"):
        assert learned.exported[score] == pytest.approx(learned.trained[score], abs=1e-4)
    metrics = json.loads((learned.root / "export" / "metrics.json").read_text())
    assert set(metrics["about"]) == set(metrics) - {"about"}
    assert metrics["trainingAP50"] == learned.trained["ap50"]
    assert metrics["f1"] >= 0.5


@pytest.mark.parametrize("python", [PYTHON, PYTHON_TF2], ids=["TensorFlow 1.14", "current TensorFlow"])
@pytest.mark.parametrize("code", [0, 1], ids=["frozen graph", "SavedModel"])
def test_code_of_the_readme_runs_as_written(learned: Any, python: str, code: int, tmp_path: Path) -> None:
    """It prints the tire of a photo, near its box."""
    if not python:
        pytest.skip("TRAININGRUN_TF2_PYTHON names no interpreter with a current TensorFlow: see make tf2")
    export = shutil.copytree(learned.root / "export", tmp_path / "export")
    programs = re.findall(r"```python\n(.*?)```", (export / "README.md").read_text(), re.DOTALL)
    tire = next(photo for photo in draw_set(EVAL_IMAGES, seed=7, prefix="eval") if len(photo.boxes) == 1)
    (export / "photo.jpg").write_bytes(tire.jpeg)
    (export / "detect.py").write_text(programs[code])
    printed = run([python, "detect.py"], cwd=export, timeout=PATIENCE)
    name, _, *box = next(line for line in printed.splitlines() if line.startswith("tire ")).split(maxsplit=2)
    width, height = SIZE
    (labelled,) = tire.boxes
    expected = [labelled.ymin / height, labelled.xmin / width, labelled.ymax / height, labelled.xmax / width]
    assert (name, json.loads(box[0])) == ("tire", pytest.approx(expected, abs=0.1))


def test_continuing_an_export_keeps_what_it_detects(learned: Any, shared: Any) -> None:
    """One step at a rate that changes nothing: with new heads, AP@.5 is about 0.01."""
    done, log = short_training(shared, learned, scope="all", steps=1, learning_rate="0.0000001")
    assert done["ap50"] == pytest.approx(learned.exported["ap50"], abs=0.1), log
    assert shared.read("progress.json")["restored"] == {"loaded": VARIABLES, "total": VARIABLES}


def test_other_classes_start_their_heads_anew(learned: Any, shared: Any) -> None:
    done, log = short_training(shared, learned, scope="allButClasses", steps=1, learning_rate="0.0000001")
    assert done["ap50"] < 0.3, log
    new = {"loaded": VARIABLES - 4, "total": VARIABLES, "startsAnew": "class heads (4 variables)"}
    assert shared.read("progress.json")["restored"] == new


def test_weights_that_must_fit_as_a_whole_end_training_where_a_part_does_not(learned: Any, shared: Any) -> None:
    """An agent asks for it when spec.model.pretrained.scope is all."""
    shutil.copytree(learned.root / "export" / "checkpoint", shared.root / "pretrained")
    spec = lay_out(shared.root, steps=1, save_every=1, images=(8, 1), pretrained=True)
    shared.write("spec.json", {**spec, "pretrainedScope": "allButClasses", "pretrainedAll": True})
    done, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (done["outcome"], done["reason"]) == ("userError", "PretrainedMismatch"), log
    assert done["message"] == (
        f"model.pretrained.scope is all, but the weights have only {VARIABLES - 4} of {VARIABLES} variables; missing, "
        "or of another shape: class heads (4 variables)."
    )
    assert not (shared.root / "ready").exists()


def test_a_longer_run_goes_on_from_the_last_checkpoint_of_another(learned: Any, shared: Any) -> None:
    """With its step, and with slots that fit a schedule of more steps."""
    spec = lay_out(shared.root, steps=STEPS + 2, save_every=STEPS, images=(64, EVAL_IMAGES), learning_rate="0.0000001")
    (shared.root / "model").mkdir()
    for path in (learned.root / "model").glob(f"model.ckpt-{STEPS}.*"):
        shutil.copy(path, shared.root / "model")
    (shared.root / "model" / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{STEPS}"\n')
    shared.write("spec.json", {**spec, "resumedFromStep": STEPS})
    done, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (done["outcome"], done["step"]) == ("succeeded", STEPS + 2), log
    assert done["ap50"] == pytest.approx(learned.trained["ap50"], abs=0.1), log
    assert ready_steps(shared.root) == {STEPS + 2}


def test_the_feature_extractor_alone_is_a_head_start(learned: Any, shared: Any) -> None:
    """Agents of earlier releases name no scope, and it is all that is taken from an archive of the model zoo."""
    fine_tuned, log = short_training(shared, learned, scope=None)
    assert fine_tuned["ap50"] >= 0.5, log
    new = "box heads (4 variables), class heads (4 variables)"
    assert shared.read("progress.json")["restored"] == {"loaded": VARIABLES - 8, "total": VARIABLES, "startsAnew": new}


def test_as_few_steps_without_weights_learn_little(shared: Any) -> None:
    """Otherwise the tests with weights of an export would prove nothing."""
    from_scratch, log = short_training(shared, None, scope=None)
    assert from_scratch["ap50"] < 0.3, log
    restored = shared.read("progress.json")["restored"]
    assert (restored["loaded"], restored["total"]) == (0, VARIABLES)


def short_training(
    shared: Any, learned: Any, *, scope: str | None, steps: int = SHORT, learning_rate: str = "0.005"
) -> tuple[dict[str, Any], str]:
    """Train from the export of `learned`, or from random numbers; returns done.json and the log."""
    if learned is not None:
        shutil.copytree(learned.root / "export" / "checkpoint", shared.root / "pretrained")
    spec = lay_out(
        shared.root,
        steps=steps,
        save_every=steps,
        images=(64, EVAL_IMAGES),
        learning_rate=learning_rate,
        pretrained=learned is not None,
    )
    shared.write("spec.json", {**spec, **({"pretrainedScope": scope} if scope else {})})
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
    assert "restored" not in shared.read("progress.json")
    assert not (shared.root / "ready").exists()
