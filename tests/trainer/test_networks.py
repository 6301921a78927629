"""Every network, in real TensorFlow 1.14: two steps and an evaluation; of each family one export, loaded again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from trainer_runs import DEMO, PATIENCE, exporting, fitting, lay_out

from trainingrun_agent.pipeline.checkpoint import read_index
from trainingrun_agent.pipeline.networks import NETWORKS

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS = 2
EXPORTED = ("ssd_inception_v2", "faster_rcnn_inception_v2")  # the exporter knows families, not networks


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != DEMO])
def test_it_trains_and_evaluates(shared: Any, network: str) -> None:
    spec = lay_out(
        shared.root, steps=STEPS, save_every=STEPS, images=(2, 1), network=network, batch_size=1, learning_rate="0.0001"
    )
    shrink(shared.root / "pipeline.config")
    shared.write("spec.json", spec)
    trained, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (trained["outcome"], trained["step"]) == ("succeeded", STEPS), log
    assert 0 <= trained["ap50"] <= 1, log
    assert fitting(shared.root / "model" / f"model.ckpt-{STEPS}") == [network]
    restored = shared.read("progress.json")["restored"]
    assert (restored["loaded"], restored["total"]) == (0, len(model_variables(shared.root / "model")))
    assert all(part in restored["startsAnew"] for part in ("class heads", "box heads", "feature extractor"))
    if network in EXPORTED:
        check_export(shared, spec, trained)


def model_variables(folder: Path) -> list[str]:
    """Names of the variables in a checkpoint without the step and the optimizer's, which are named below another."""
    names = read_index((folder / f"model.ckpt-{STEPS}.index").read_bytes()).variables.keys() - {"global_step"}
    return [name for name in names if name.rpartition("/")[0] not in names]


def check_export(shared: Any, spec: dict[str, Any], trained: dict[str, Any]) -> None:
    shared.write("spec.json", exporting(spec, ap50=trained["ap50"]))
    exported, log = shared.outcome_of("export", python=PYTHON, seconds=PATIENCE)
    assert (exported["outcome"], exported["evalImages"]) == ("succeeded", 1), log
    assert (shared.root / "export" / "frozen_inference_graph.pb").stat().st_size > 1e6


def shrink(config: Path) -> None:
    """Faster R-CNN on small images: the same graph for a fraction of the time."""
    config.write_text(config.read_text().replace("min_dimension: 600", "min_dimension: 150"))
