"""The supported networks, as data. What networks of a family have in common is in `ssd`, `fpn` and `faster_rcnn`.

Values are those of the API's sample configurations (tensorflow/models, research/object_detection/samples/configs),
except where short runs on small data need others; the reasons are where the values are used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

LONGEST_SIDE, SHORTER_SIDE = 1024, 600
"""Of the input of the networks that keep the shape of images, in the API's sample configurations."""
SSD_CROP: Final = "ssd_random_crop { }"
PYRAMID_CROP: Final = (
    "random_crop_image { min_object_covered: 0.0 min_aspect_ratio: 0.75 max_aspect_ratio: 3.0 "
    "min_area: 0.75 max_area: 1.0 overlap_thresh: 0.0 }"
)


@dataclass(frozen=True, slots=True)
class Pyramid:
    """A feature pyramid (FPN) with the predictor that all its levels share; a cell of level n has 2^n pixels."""

    weight_decay: float
    initializer: str
    min_level: int = 3
    max_level: int = 7
    anchor_scale: float = 4.0
    scales_per_octave: int = 2


@dataclass(frozen=True, slots=True)
class Network:
    """A network; `input_size` in pixels is the length of both sides for SSD, of the shorter side for Faster R-CNN.

    `backbone` is the scope of its variables in a checkpoint, `stride` the pixels of the input per cell of the finest
    feature map.
    """

    family: Literal["ssd", "faster_rcnn"]
    extractor: str
    backbone: str
    input_size: int
    stride: int = 16
    optimizer: Literal["adam", "rms_prop", "momentum"] = "rms_prop"
    crop: str = SSD_CROP  # the API's preprocessing step that cuts a part out of an image; empty for none
    # SSD
    feature_layers: int = 6
    depth_multiplier: float = 1.0
    min_depth: int = 16
    predictor_kernel: int = 3
    depthwise: bool = False  # SSDLite: depthwise convolutions in predictor and additional layers
    smallest_anchor: float = 0.2  # of the input size
    largest_anchor: float = 0.95
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    pyramid: Pyramid | None = None
    quantized: bool = False  # trained with the rounding of 8-bit weights and activations
    # Faster R-CNN
    position_sensitive: bool = False  # R-FCN: the second stage has no layers for each proposal
    crop_size: int = 14
    crop_pool: int = 2
    atrous_rate: int = 1
    batch_norm_steps: int = 1000  # until moving averages have forgotten 95 % of their first values, at the API's decay

    @property
    def reduces_lowest_layer(self) -> bool:
        """Whether the finest feature map has only three anchors per cell, one of them smaller than all others."""
        return self.feature_layers == 6


_FASTER_RCNN: Final = Network("faster_rcnn", "", "", 600, optimizer="momentum", crop="")
_SSD_WITH_PYRAMID: Final = Network(
    "ssd",
    "",
    "",
    640,
    stride=8,
    optimizer="momentum",
    crop=PYRAMID_CROP,
    aspect_ratios=(1.0, 2.0, 0.5),
)
NETWORKS: Final = {
    "ssd_inception_v2": Network("ssd", "ssd_inception_v2", "InceptionV2", 300),
    "ssd_mobilenet_v1": Network("ssd", "ssd_mobilenet_v1", "MobilenetV1", 300, predictor_kernel=1),
    "ssd_mobilenet_v2": Network("ssd", "ssd_mobilenet_v2", "MobilenetV2", 300, predictor_kernel=1),
    "ssdlite_mobilenet_v2": Network("ssd", "ssd_mobilenet_v2", "MobilenetV2", 300, depthwise=True),
    "ssd_mobilenet_v1_quantized": Network(
        "ssd", "ssd_mobilenet_v1", "MobilenetV1", 300, predictor_kernel=1, quantized=True
    ),
    "ssd_mobilenet_v2_quantized": Network(
        "ssd", "ssd_mobilenet_v2", "MobilenetV2", 300, predictor_kernel=1, quantized=True
    ),
    "ssd_mobilenet_v1_fpn": replace(
        _SSD_WITH_PYRAMID,
        extractor="ssd_mobilenet_v1_fpn",
        backbone="MobilenetV1",
        pyramid=Pyramid(0.00004, "random_normal_initializer { stddev: 0.01 mean: 0.0 }"),
    ),
    "ssd_resnet50_fpn": replace(
        _SSD_WITH_PYRAMID,
        extractor="ssd_resnet50_v1_fpn",
        backbone="resnet_v1_50",
        pyramid=Pyramid(0.0004, "truncated_normal_initializer { stddev: 0.03 mean: 0.0 }"),
    ),
    "faster_rcnn_inception_v2": replace(
        _FASTER_RCNN, extractor="faster_rcnn_inception_v2", backbone="InceptionV2", batch_norm_steps=10_000
    ),
    "faster_rcnn_resnet50": replace(_FASTER_RCNN, extractor="faster_rcnn_resnet50", backbone="resnet_v1_50"),
    "faster_rcnn_resnet101": replace(_FASTER_RCNN, extractor="faster_rcnn_resnet101", backbone="resnet_v1_101"),
    "faster_rcnn_inception_resnet_v2": replace(
        _FASTER_RCNN,
        extractor="faster_rcnn_inception_resnet_v2",
        backbone="InceptionResnetV2",
        stride=8,
        crop_size=17,
        crop_pool=1,
        atrous_rate=2,
        batch_norm_steps=10_000,
    ),
    "rfcn_resnet101": replace(
        _FASTER_RCNN, extractor="faster_rcnn_resnet101", backbone="resnet_v1_101", position_sensitive=True
    ),
    # Learns something in half a minute on two CPU cores, above all because it has only two feature layers.
    "ssd_mobilenet_v1_0.25_128": Network(
        "ssd",
        "ssd_mobilenet_v1",
        "MobilenetV1",
        128,
        feature_layers=2,
        depth_multiplier=0.25,
        min_depth=8,
        largest_anchor=0.4,
        aspect_ratios=(1.0,),
        optimizer="adam",
        crop="",
    ),
}


def longest_side(size: int) -> int:
    """Longest side of the input of a network that keeps the shape of images, from its shorter side: 1024 for 600."""
    return round(size * LONGEST_SIDE / SHORTER_SIDE)
