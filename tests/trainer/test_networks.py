"""Networks in real TensorFlow 1.14: two steps and an evaluation; of each family one export, loaded again.

These are the networks that most people use; test_every_network.py has all of them.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from small_networks import model_variables, shrink
from trainer_runs import PATIENCE, exporting, fitting, lay_out

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS = 2
USUAL = ("ssd_inception_v2", "ssd_mobilenet_v1", "ssd_mobilenet_v2", "faster_rcnn_inception_v2", "faster_rcnn_resnet50")
EXPORTED = ("ssd_inception_v2", "faster_rcnn_inception_v2")  # the exporter knows families, not networks


@pytest.mark.parametrize("network", USUAL)
def test_it_trains_and_evaluates(shared: Any, network: str) -> None:
    spec = lay_out(
        shared.root, steps=STEPS, save_every=STEPS, images=(2, 1), network=network, batch_size=1, learning_rate="0.0001"
    )
    if network.startswith("faster_rcnn"):
        shrink(shared.root / "pipeline.config")
    shared.write("spec.json", spec)
    trained, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (trained["outcome"], trained["step"]) == ("succeeded", STEPS), log
    assert 0 <= trained["ap50"] <= 1, log
    checkpoint = shared.root / "model" / f"model.ckpt-{STEPS}"
    assert fitting(checkpoint) == [network]
    restored = shared.read("progress.json")["restored"]
    assert (restored["loaded"], restored["total"]) == (0, len(model_variables(checkpoint)))
    assert all(part in restored["startsAnew"] for part in ("class heads", "box heads", "feature extractor"))
    if network in EXPORTED:
        check_export(shared, spec, trained)


def check_export(shared: Any, spec: dict[str, Any], trained: dict[str, Any]) -> None:
    shared.write("spec.json", exporting(spec, ap50=trained["ap50"]))
    exported, log = shared.outcome_of("export", python=PYTHON, seconds=PATIENCE)
    assert (exported["outcome"], exported["evalImages"]) == ("succeeded", 1), log
    assert (shared.root / "export" / "frozen_inference_graph.pb").stat().st_size > 1e6
