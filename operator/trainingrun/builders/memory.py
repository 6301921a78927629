"""Memory that training and export of a network take on their node, from which their default requests follow.

Measured with TensorFlow 1.14 on a CPU (`make networks`), as the peak of the resident memory of one process. On a GPU
the images' share is in the GPU's memory; the libraries of CUDA take its place on the node.
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
    "ssd_inception_v2": NetworkMemory(300, 1100, 130, 800),
}
_OTHER: Final = NetworkMemory(600, 2500, 2000, 2500)  # a network that this version does not know
_CUDA: Final = 2000
_INPUT_BATCHES: Final = 10  # batches that the API's input pipeline holds: eight being made, two ready
_BYTES_PER_PIXEL: Final = 12  # three colours in four bytes each
_HEADROOM: Final = 1.15
_STEP: Final = 512  # MiB; requests are multiples of it
_LEAST: Final = 2048  # MiB


def default_memory(stage: Stage, resolved: Mapping[str, Any]) -> str:
    """The memory that the container with TensorFlow asks for, unless the spec says how much."""
    network = NETWORKS.get(resolved["model"]["network"], _OTHER)
    if stage is Stage.EXPORT:
        return _quantity(network.export * _HEADROOM)
    train = resolved["train"]
    side = resolved["model"].get("inputSize") or network.input_size
    share = (side / network.input_size) ** 2
    waiting = _INPUT_BATCHES * train["batchSize"] * side**2 * _BYTES_PER_PIXEL / 1e6
    images = _CUDA if train["gpus"] else network.per_image * train["batchSize"] * share
    return _quantity((network.training + images + waiting) * _HEADROOM)


def _quantity(megabytes: float) -> str:
    """The next multiple of half a gibibyte, in Kubernetes' form."""
    mebibytes = max(_LEAST, math.ceil(megabytes * 1e6 / 2**20 / _STEP) * _STEP)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
