"""The anchors in the report, compared with those that the Object Detection API makes from the pipeline.config."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from trainer_runs import PATIENCE

from nearest import unpaired
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.prep.statistics.network_input import feature_maps
from trcluster.command import run

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
PROGRAM = Path(__file__).with_name("api_anchors.py")


def test_every_network_has_the_anchors_that_the_report_shows(tmp_path: Path) -> None:
    for network in NETWORKS:
        (tmp_path / f"{network}.config").write_text(config(network))
    run([PYTHON, PROGRAM, tmp_path], env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}, timeout=PATIENCE)
    found = json.loads((tmp_path / "anchors.json").read_text())
    assert found.keys() == NETWORKS.keys()
    for name, network in NETWORKS.items():
        ours = feature_maps(network)
        assert [one["cells"] for one in found[name]] == [one.cells for one in ours], name
        for theirs, one in zip(found[name], ours, strict=True):
            # As sets: within a cell the order has no meaning, and sorting depends on the last bits.
            assert unpaired(theirs["anchors"], one.anchors, within=1e-5) == [], name


def config(network: str) -> str:
    return build_pipeline_config(
        network=network,
        num_classes=2,
        steps=10,
        batch_size=1,
        learning_rate="0.001",
        train_images=1,
        max_boxes_per_image=1,
        pretrained=False,
    )
