"""The supported networks, as data. What networks of a family have in common is in `ssd` and `faster_rcnn`.

Values are those of the API's sample configurations (tensorflow/models, research/object_detection/samples/configs),
except where short runs on small data need others; the reasons are where the values are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Network:
    """A network; `input_size` in pixels is the length of both sides for SSD, of the shorter side for Faster R-CNN."""

    family: Literal["ssd", "faster_rcnn"]
    extractor: str
    input_size: int
    feature_layers: int = 6
    depth_multiplier: float = 1.0
    min_depth: int = 16
    predictor_kernel: int = 3
    smallest_anchor: float = 0.2  # of the input size
    largest_anchor: float = 0.95
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    optimizer: Literal["adam", "rms_prop", "momentum"] = "rms_prop"
    crop: bool = True  # augment by ssd_random_crop

    @property
    def reduces_lowest_layer(self) -> bool:
        """Whether the finest feature map has only three anchors per cell, one of them smaller than all others."""
        return self.feature_layers == 6


NETWORKS: Final = {
    "ssd_inception_v2": Network("ssd", "ssd_inception_v2", 300),
    "ssd_mobilenet_v1": Network("ssd", "ssd_mobilenet_v1", 300, predictor_kernel=1),
    "ssd_mobilenet_v2": Network("ssd", "ssd_mobilenet_v2", 300, predictor_kernel=1),
    "faster_rcnn_inception_v2": Network("faster_rcnn", "faster_rcnn_inception_v2", 600, optimizer="momentum"),
    "faster_rcnn_resnet50": Network("faster_rcnn", "faster_rcnn_resnet50", 600, optimizer="momentum"),
    # Learns something in half a minute on two CPU cores, above all because it has only two feature layers.
    "ssd_mobilenet_v1_0.25_128": Network(
        "ssd",
        "ssd_mobilenet_v1",
        128,
        feature_layers=2,
        depth_multiplier=0.25,
        min_depth=8,
        largest_anchor=0.4,
        aspect_ratios=(1.0,),
        optimizer="adam",
        crop=False,
    ),
}
