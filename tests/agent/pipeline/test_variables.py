"""Which configurations have the same variables, so that a checkpoint of one can be continued with the other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.pipeline.variables import differences

NETWORK = "ssd_inception_v2"


def config(network: str = NETWORK, **changes: Any) -> str:
    values: dict[str, Any] = {
        "num_classes": 2,
        "steps": 150,
        "batch_size": 8,
        "learning_rate": "0.01",
        "shuffle_buffer": 64,
        "max_boxes_per_image": 2,
        "pretrained": False,
    }
    return build_pipeline_config(network=network, **{**values, **changes})


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    "changes",
    [{"steps": 90_000}, {"batch_size": 2, "learning_rate": "0.1"}, {"shuffle_buffer": 9, "max_boxes_per_image": 300}],
    ids=["longer", "batch and rate", "data"],
)
def test_what_a_second_run_changes_is_no_difference(network: str, changes: dict[str, Any]) -> None:
    assert differences(config(network), config(network, **changes)) == []


@pytest.mark.parametrize("other", [network for network in NETWORKS if network != NETWORK])
def test_another_network_is_a_difference(other: str) -> None:
    found = differences(config(other), config())
    assert found is not None
    assert {"feature_extractor", "model"} & set(found)


@pytest.mark.parametrize(
    ("pattern", "replacement", "parts"),
    [
        (r"max_scale: [\d.]+", "max_scale: 0.5", ["anchor_generator"]),
        (r"use_moving_average: false", "use_moving_average: true", ["train_config.optimizer"]),
        (r"num_classes: 2", "num_classes: 3", ["num_classes"]),
        (r"score_threshold: [\d.e-]+", "score_threshold: 0.25", []),
        (r"width: 300", "width: 320", []),
    ],
    ids=["anchors", "moving average", "classes", "detection", "input size"],
)
def test_a_changed_field_is_a_difference_if_variables_depend_on_it(
    pattern: str, replacement: str, parts: list[str]
) -> None:
    ours = config()
    theirs = re.sub(pattern, replacement, ours)
    assert theirs != ours
    assert differences(theirs, ours) == parts


def test_another_optimizer_is_a_difference() -> None:
    """Its checkpoint has other slots."""
    adam = "optimizer { adam_optimizer { } use_moving_average: false }"
    theirs = re.sub(r"\n  optimizer \{.*?\n  \}", f"\n  {adam}", config(), flags=re.DOTALL)
    assert differences(theirs, config()) == ["train_config.optimizer"]


@pytest.mark.parametrize("theirs", ["", "hello {", "train_config { }", "model { ssd { speed: 3 } }"])
def test_what_is_no_configuration_cannot_be_compared(theirs: str) -> None:
    assert differences(theirs, config()) is None
