"""The memory that a pod asks for follows from network, batch and input size."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.builders.memory import NETWORKS, default_memory
from trainingrun.domain import networks

DEMO, USUAL, LARGE = "ssd_mobilenet_v1_0.25_128", "ssd_inception_v2", "faster_rcnn_inception_resnet_v2"


def document(network: str, *, batch: int, gpus: int = 0, **model: Any) -> dict[str, Any]:
    return {"model": {"network": network, **model}, "train": {"batchSize": batch, "gpus": gpus}}


def mebibytes(quantity: str) -> int:
    return int(quantity.removesuffix("Gi")) * 1024 if quantity.endswith("Gi") else int(quantity.removesuffix("Mi"))


def asked(network: str, stage: Stage = Stage.TRAIN, **fields: Any) -> int:
    return mebibytes(default_memory(stage, document(network, **fields)))


def test_the_memory_of_every_network_is_known() -> None:
    assert NETWORKS.keys() == networks.NETWORKS.keys()


def test_a_small_network_asks_for_the_least() -> None:
    assert default_memory(Stage.TRAIN, document(DEMO, batch=8)) == "2Gi"
    assert default_memory(Stage.EXPORT, document(DEMO, batch=8)) == "2Gi"


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"batch": 48}, {"batch": 24}),
        ({"batch": 24, "inputSize": 600}, {"batch": 24, "inputSize": 300}),
        ({"batch": 24}, {"batch": 24, "gpus": 1}),
    ],
    ids=["batch", "input size", "images are in the memory of the GPU"],
)
def test_it_grows_with_what_training_holds(more: dict[str, Any], less: dict[str, Any]) -> None:
    assert asked(USUAL, **more) > asked(USUAL, **less)


def test_the_network_s_own_size_is_the_default() -> None:
    assert asked(USUAL, batch=24) == asked(USUAL, batch=24, inputSize=None) == asked(USUAL, batch=24, inputSize=300)


@pytest.mark.parametrize("stage", [Stage.TRAIN, Stage.EXPORT])
def test_a_large_network_asks_for_more(stage: Stage) -> None:
    assert asked(LARGE, stage, batch=1) > asked(DEMO, stage, batch=1)


def test_a_network_of_a_later_version_gets_what_a_large_one_needs() -> None:
    assert asked("yolo", batch=1) > asked(DEMO, batch=1)


def test_the_default_network_on_a_gpu_asks_for_4_gibibytes() -> None:
    assert default_memory(Stage.TRAIN, document(USUAL, batch=24, gpus=1)) == "4Gi"
