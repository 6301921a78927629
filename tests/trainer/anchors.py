"""The anchors in the report, compared with those that the Object Detection API makes from the pipeline.config."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from trainer_runs import PATIENCE

from nearest import unpaired
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.prep.statistics.network_input import feature_maps
from trcluster.command import run

PROGRAM = Path(__file__).with_name("api_anchors.py")


def compare_anchors(networks: Iterable[str], folder: Path, *, python: str) -> None:
    """Make the anchors of these networks with the API, in this folder, and compare them with the report's."""
    networks = list(networks)
    for network in networks:
        (folder / f"{network}.config").write_text(_config(network))
    run([python, PROGRAM, folder], env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}, timeout=PATIENCE)
    found = json.loads((folder / "anchors.json").read_text())
    assert found.keys() == set(networks)
    for name in networks:
        ours = feature_maps(NETWORKS[name])
        assert [one["cells"] for one in found[name]] == [one.cells for one in ours], name
        for theirs, one in zip(found[name], ours, strict=True):
            # As sets: within a cell the order has no meaning, and sorting depends on the last bits.
            assert unpaired(theirs["anchors"], one.anchors, within=1e-5) == [], name


def _config(network: str) -> str:
    return build_pipeline_config(
        network=network,
        num_classes=2,
        steps=10,
        batch_size=1,
        learning_rate="0.001",
        shuffle_buffer=1,
        max_boxes_per_image=1,
        pretrained=False,
    )
