"""Defaults of each network for fields that the spec leaves out; the agent's pipeline templates hold all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class NetworkDefaults:
    """Batch size in images, initial learning rate."""

    batch_size: int
    learning_rate: str


DEMO_NETWORK: Final = "ssd_mobilenet_v1_0.25_128"
NETWORKS: Final = {
    "ssd_inception_v2": NetworkDefaults(24, "0.004"),
    "ssd_mobilenet_v1": NetworkDefaults(24, "0.004"),
    "ssd_mobilenet_v2": NetworkDefaults(24, "0.004"),
    "faster_rcnn_inception_v2": NetworkDefaults(1, "0.0002"),
    "faster_rcnn_resnet50": NetworkDefaults(1, "0.0003"),
    DEMO_NETWORK: NetworkDefaults(8, "0.01"),
}


def default_cadence(steps: int) -> int:
    """Steps between saves, and between evaluations: ten per run, and at least one every 1000 steps."""
    return min(1000, max(1, steps // 10))
