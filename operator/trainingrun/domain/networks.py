"""Defaults of each network for fields that the spec leaves out; the agent's pipeline templates hold all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class NetworkDefaults:
    """Batch size in images, initial learning rate, about how large a checkpoint is, with the optimizer's state.

    `build_seconds` is about how long two CPU cores need before the first step: to import TensorFlow, build the graph
    and initialise it. It follows from the CPU time of a start; for ssdlite_mobilenet_v2, ssd_mobilenet_v1_quantized and
    rfcn_resnet101, from that of similar networks. 0 where it is not known.
    `zoo` is its archive in the model zoo, with weights trained on COCO.
    From random weights, a run of fewer than `batch_norm_steps` steps does not train batch normalization.
    """

    batch_size: int
    learning_rate: str
    checkpoint_megabytes: float
    megabytes_per_class: float
    zoo: str = ""
    build_seconds: int = 0
    batch_norm_steps: int = 0

    @property
    def weights_address(self) -> str:
        """Where the model zoo has weights of this network, trained on COCO; empty if it has none."""
        return f"{ZOO}{self.zoo}.tar.gz" if self.zoo else ""


ZOO: Final = "http://download.tensorflow.org/models/object_detection/"
UPLOAD_MEGABYTES_PER_SECOND: Final = 5
SAVE_SECONDS: Final = 60  # to finish a step and to write a checkpoint
LEAST_GRACE_SECONDS: Final = 180
DEFAULT_NETWORK: Final = "ssd_inception_v2"
DEFAULT_STEPS: Final = 20000
DEMO_NETWORK: Final = "ssd_mobilenet_v1_0.25_128"
NETWORKS: Final = {
    "ssd_inception_v2": NetworkDefaults(24, "0.004", 158, 1.8, "ssd_inception_v2_coco_2018_01_28", build_seconds=20),
    "ssd_mobilenet_v1": NetworkDefaults(24, "0.004", 85, 0.2, "ssd_mobilenet_v1_coco_2018_01_28", build_seconds=13),
    "ssd_mobilenet_v2": NetworkDefaults(24, "0.004", 70, 0.2, "ssd_mobilenet_v2_coco_2018_03_29", build_seconds=17),
    "ssdlite_mobilenet_v2": NetworkDefaults(
        24, "0.004", 37, 0.2, "ssdlite_mobilenet_v2_coco_2018_05_09", build_seconds=17
    ),
    "ssd_mobilenet_v1_quantized": NetworkDefaults(
        24, "0.004", 85, 0.2, "ssd_mobilenet_v1_quantized_300x300_coco14_sync_2018_07_18", build_seconds=23
    ),
    "ssd_mobilenet_v2_quantized": NetworkDefaults(
        24, "0.004", 70, 0.2, "ssd_mobilenet_v2_quantized_300x300_coco_2019_01_03", build_seconds=30
    ),
    "ssd_mobilenet_v1_fpn": NetworkDefaults(
        8,
        "0.005",
        87,
        0.1,
        "ssd_mobilenet_v1_fpn_shared_box_predictor_640x640_coco14_sync_2018_07_03",
        build_seconds=14,
    ),
    "ssd_resnet50_fpn": NetworkDefaults(
        4,
        "0.0025",
        253,
        0.1,
        "ssd_resnet50_v1_fpn_shared_box_predictor_640x640_coco14_sync_2018_07_03",
        build_seconds=18,
    ),
    "faster_rcnn_inception_v2": NetworkDefaults(
        1, "0.0002", 110, 0.04, "faster_rcnn_inception_v2_coco_2018_01_28", batch_norm_steps=10_000, build_seconds=17
    ),
    "faster_rcnn_resnet50": NetworkDefaults(
        1, "0.0003", 240, 0.08, "faster_rcnn_resnet50_coco_2018_01_28", batch_norm_steps=1000, build_seconds=17
    ),
    "faster_rcnn_resnet101": NetworkDefaults(
        1, "0.0003", 498, 0.08, "faster_rcnn_resnet101_coco_2018_01_28", batch_norm_steps=1000, build_seconds=23
    ),
    "faster_rcnn_inception_resnet_v2": NetworkDefaults(
        1,
        "0.0003",
        475,
        0.06,
        "faster_rcnn_inception_resnet_v2_atrous_coco_2018_01_28",
        batch_norm_steps=10_000,
        build_seconds=32,
    ),
    "rfcn_resnet101": NetworkDefaults(
        1, "0.0003", 515, 0.4, "rfcn_resnet101_coco_2018_01_28", batch_norm_steps=1000, build_seconds=23
    ),
    DEMO_NETWORK: NetworkDefaults(8, "0.01", 3, 0.01, build_seconds=11),
}


def default_cadence(steps: int) -> int:
    """Steps between saves, and between evaluations: ten per run, and at least one every 1000 steps."""
    return min(1000, max(1, steps // 10))


def default_grace_seconds(network: NetworkDefaults, *, classes: int) -> int:
    """Grace period of a training pod: it saves a checkpoint, and may still be uploading the one before."""
    megabytes = network.checkpoint_megabytes + network.megabytes_per_class * classes
    return max(LEAST_GRACE_SECONDS, round(SAVE_SECONDS + 2 * megabytes / UPLOAD_MEGABYTES_PER_SECOND))
