"""Memory that training and export of a network take on their node, from which their default requests follow.

Peaks of the resident memory of one process, with TensorFlow 1.14 on a CPU: measured for ssd_inception_v2, SSDLite, the
networks with a feature pyramid, faster_rcnn_inception_v2, faster_rcnn_resnet101, ssd_mobilenet_v2_quantized and the
export of rfcn_resnet101; for the others, computed in proportion from the sizes of the weights and of the layers'
outputs. On a GPU, the share of the images is in the memory of the GPU, and the libraries of CUDA take its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainingrun.api.names import Stage


@dataclass(frozen=True, slots=True)
class NetworkMemory:
    """MB for a network with an input of `input_size` pixels: without images, and for each image of a batch."""

    input_size: int
    training: int
    per_image: int
    export: int


NETWORKS: Final = {
    "ssd_inception_v2": NetworkMemory(300, 1150, 130, 1600),
    "ssd_mobilenet_v1": NetworkMemory(300, 900, 120, 1100),
    "ssd_mobilenet_v2": NetworkMemory(300, 1000, 150, 1000),
    "ssdlite_mobilenet_v2": NetworkMemory(300, 1000, 160, 900),
    "ssd_mobilenet_v1_quantized": NetworkMemory(300, 1500, 250, 1100),
    "ssd_mobilenet_v2_quantized": NetworkMemory(300, 1900, 300, 1000),
    "ssd_mobilenet_v1_fpn": NetworkMemory(640, 900, 610, 1550),
    "ssd_resnet50_fpn": NetworkMemory(640, 1050, 1200, 3400),
    "faster_rcnn_inception_v2": NetworkMemory(600, 1150, 450, 1650),
    "faster_rcnn_resnet50": NetworkMemory(600, 1850, 1200, 3800),
    "faster_rcnn_resnet101": NetworkMemory(600, 2500, 1600, 4800),
    "faster_rcnn_inception_resnet_v2": NetworkMemory(600, 2800, 5000, 5000),
    "rfcn_resnet101": NetworkMemory(600, 2500, 1600, 4800),
    "ssd_mobilenet_v1_0.25_128": NetworkMemory(128, 800, 10, 500),
}
_OTHER: Final = NetworkMemory(600, 2000, 2000, 4000)  # a network that this version does not know
_CUDA: Final = 2000
_INPUT_BATCHES: Final = 10  # batches that the API's input pipeline holds: eight being made, two ready
_BYTES_PER_PIXEL: Final = 12  # three colours in four bytes each
_HEADROOM: Final = 1.15
_STEP: Final = 512  # MiB; requests are multiples of it
_LEAST: Final = 2048  # MiB


def default_memory(stage: Stage, resolved: Mapping[str, Any]) -> str:
    """The memory that the container with TensorFlow asks for, unless the spec says how much.

    `resolved` is empty while the document of a run that has ended is not known; then only a hint needs an answer.
    """
    model, train = resolved.get("model", {}), resolved.get("train", {"batchSize": 1, "gpus": 0})
    network = NETWORKS.get(model.get("network", ""), _OTHER)
    if stage is Stage.EXPORT:
        return _quantity(network.export * _HEADROOM)
    side = model.get("inputSize") or network.input_size
    share = (side / network.input_size) ** 2
    waiting = _INPUT_BATCHES * train["batchSize"] * side**2 * _BYTES_PER_PIXEL / 1e6
    images = _CUDA if train["gpus"] else network.per_image * train["batchSize"] * share
    return _quantity((network.training + images + waiting) * _HEADROOM)


def _quantity(megabytes: float) -> str:
    """The next multiple of half a gibibyte, in Kubernetes' form."""
    mebibytes = max(_LEAST, math.ceil(megabytes * 1e6 / 2**20 / _STEP) * _STEP)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
