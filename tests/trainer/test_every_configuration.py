"""Each kind of network with each optimizer, another size of its input, the focal loss and all augmentation."""

from __future__ import annotations

import os
from typing import Any

import pytest
from configurations import ALL_STEPS, FOCAL, trained

from trainingrun_agent.training_settings import Augmentation

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
CROPS = tuple(Augmentation(name) for name in ("ssd_random_crop_pad", "random_crop_image", "random_image_scale"))
SSD, PYRAMID, FASTER = "ssd_mobilenet_v2", "ssd_mobilenet_v1_fpn", "faster_rcnn_inception_v2"
CASES = [
    *(
        pytest.param(network, {}, {"optimizer": optimizer}, id=f"{network}-{optimizer}")
        for network in (SSD, FASTER)
        for optimizer in ("adam", "momentum", "rmsProp")
    ),
    *(
        pytest.param(
            network, {"input_size": 224, "max_detections": 301}, {"augmentation": ALL_STEPS}, id=f"{network}-224"
        )
        for network in (SSD, PYRAMID, FASTER)
    ),
    *(
        pytest.param(network, {}, {"focal_loss": FOCAL, "augmentation": CROPS}, id=f"{network}-focal")
        for network in (SSD, PYRAMID)
    ),
    pytest.param(FASTER, {}, {"augmentation": CROPS}, id=f"{FASTER}-crops"),
]


@pytest.mark.parametrize(("network", "model", "train"), CASES)
def test_it_trains_and_is_evaluated(shared: Any, network: str, model: dict[str, Any], train: dict[str, Any]) -> None:
    trained(shared, python=PYTHON, network=network, model=model, train=train)
