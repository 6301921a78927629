"""Weights are recognised by the names of their variables, as the graphs of the Object Detection API have them."""

from __future__ import annotations

import pytest

from graph_outline import RECORDED
from trainingrun_agent.pipeline.fit import Shapes, misfit, networks_of, recognised
from trainingrun_agent.pipeline.networks import NETWORKS

FIRST = "FeatureExtractor/MobilenetV1/Conv2d_0/weights"
MOBILENET_V1 = ["ssd_mobilenet_v1", "ssd_mobilenet_v1_quantized", "ssd_mobilenet_v1_fpn"]
SAME_BACKBONE = [
    ["ssd_inception_v2"],
    MOBILENET_V1,
    ["ssd_mobilenet_v2", "ssdlite_mobilenet_v2", "ssd_mobilenet_v2_quantized"],
    ["ssd_resnet50_fpn"],
    ["faster_rcnn_inception_v2"],
    ["faster_rcnn_resnet50"],
    ["faster_rcnn_resnet101", "rfcn_resnet101"],
    ["faster_rcnn_inception_resnet_v2"],
    ["ssd_mobilenet_v1_0.25_128"],
]


def variables_of(network: str) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {f"{part}/variable": () for part in RECORDED[network]}
    known = NETWORKS[network]
    if known.backbone == "MobilenetV1":
        shapes[FIRST] = (3, 3, 3, round(32 * known.depth_multiplier))
    return shapes


def test_the_variables_of_every_network_are_recorded() -> None:
    assert RECORDED.keys() == NETWORKS.keys() == {name for names in SAME_BACKBONE for name in names}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_recognised_by_its_variables(network: str) -> None:
    assert recognised(variables_of(network)) == [network]


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_fit_the_networks_with_the_same_feature_extractor(network: str) -> None:
    """Training can use the feature extractor; what the weights are of is named first."""
    [fitting] = [names for names in SAME_BACKBONE if network in names]
    found = networks_of(variables_of(network))
    assert found[0] == network
    assert sorted(found) == sorted(fitting)
    assert [name for name in NETWORKS if not misfit(name, variables_of(network))] == [
        name for name in NETWORKS if name in fitting
    ]


def test_weights_of_another_network_are_named() -> None:
    assert misfit("ssd_inception_v2", variables_of("ssd_mobilenet_v1_fpn")) == (
        "have no variable below FeatureExtractor/InceptionV2/, where ssd_inception_v2 has its own; "
        "they are of ssd_mobilenet_v1_fpn"
    )
