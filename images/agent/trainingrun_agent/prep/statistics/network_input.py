"""The input of a network: how large boxes are when images are scaled to it, and which of its anchors they fit.

Invariant: anchors are the ones that the Object Detection API generates from the run's pipeline.config
(anchor_generators/multiple_grid_anchor_generator.py: create_ssd_anchors; grid_anchor_generator.py,
multiscale_grid_anchor_generator.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainingrun_agent.pipeline.faster_rcnn import ANCHOR_RATIOS, ANCHOR_SCALES
from trainingrun_agent.pipeline.networks import NETWORKS, Network, Pyramid, longest_side
from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.statistics.distributions import bin_sides

BASE_ANCHOR = 256
"""Pixels; default of grid_anchor_generator, multiplied by its scales."""
MATCHED = 0.5
"""Smallest IoU at which an anchor is matched with a box (matched_threshold of argmax_matcher)."""


@dataclass(frozen=True)
class FeatureMap:
    """A feature map with `cells` along each side of a square input; anchors are (width, height), in sides of it."""

    cells: int
    stride: int
    anchors: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class NetworkInput:
    """The input of `network`: `side` in pixels, of a square for SSD, the shorter one for Faster R-CNN."""

    network: str
    side: int
    square: bool

    @classmethod
    def for_network(cls, network: str, size: int | None = None) -> NetworkInput:
        """Input of the network with this name; `size` is None for the network's own."""
        known = NETWORKS[network]
        return cls(network, size or known.input_size, known.family == "ssd")

    @property
    def is_default(self) -> bool:
        """Whether the size is the network's own."""
        return self.side == NETWORKS[self.network].input_size

    def scales(self, width: int, height: int) -> tuple[float, float]:
        """Factors from pixels of an image to sides of the input, for widths and for heights."""
        if self.square:
            return 1 / width, 1 / height
        scale = min(self.side / min(width, height), longest_side(self.side) / max(width, height)) / self.side
        return scale, scale

    def too_small(self, boxes: Sequence[LabelledObject], size: tuple[int, int]) -> list[LabelledObject]:
        """The boxes of an image of (width, height) pixels with a side shorter than `least_side` at the input."""
        if not boxes:
            return []
        across, down = self.scales(*size)
        least_width, least_height = self.least_side / self.side / across, self.least_side / self.side / down
        return [box for box in boxes if box.xmax - box.xmin < least_width or box.ymax - box.ymin < least_height]

    @property
    def least_side(self) -> int:
        """Half a cell of the finest feature map, in pixels of the input. The network hardly learns shorter boxes."""
        return NETWORKS[self.network].stride // 2


def feature_maps(network: Network) -> list[FeatureMap]:
    """The feature maps of a network, from the finest to the coarsest."""
    if network.family == "faster_rcnn":
        scales = [scale * BASE_ANCHOR / network.input_size for scale in ANCHOR_SCALES]
        anchors = tuple(_anchor(scale, ratio) for scale in scales for ratio in ANCHOR_RATIOS)
        return [FeatureMap(math.ceil(network.input_size / network.stride), network.stride, anchors)]
    if network.pyramid is not None:
        return [_level(network, network.pyramid, 2**level) for level in _levels(network.pyramid)]
    maps, cells = [], math.ceil(network.input_size / network.stride)
    for layer in range(network.feature_layers):
        maps.append(FeatureMap(cells, round(network.input_size / cells), _ssd_anchors(network, layer)))
        cells = math.ceil(cells / 2)
    return maps


def _levels(pyramid: Pyramid) -> range:
    return range(pyramid.min_level, pyramid.max_level + 1)


def _level(network: Network, pyramid: Pyramid, stride: int) -> FeatureMap:
    base = pyramid.anchor_scale * stride / network.input_size
    scales = [base * 2 ** (step / pyramid.scales_per_octave) for step in range(pyramid.scales_per_octave)]
    anchors = tuple(_anchor(scale, ratio) for scale in scales for ratio in network.aspect_ratios)
    return FeatureMap(math.ceil(network.input_size / stride), stride, anchors)


def _ssd_anchors(network: Network, layer: int) -> tuple[tuple[float, float], ...]:
    layers, least, most = network.feature_layers, network.smallest_anchor, network.largest_anchor
    scales = [*(least + (most - least) * step / (layers - 1) for step in range(layers)), 1.0]
    scale = scales[layer]
    if layer == 0 and network.reduces_lowest_layer:
        return _anchor(0.1, 1.0), _anchor(scale, 2.0), _anchor(scale, 0.5)
    between = math.sqrt(scale * scales[layer + 1])
    return *(_anchor(scale, ratio) for ratio in network.aspect_ratios), _anchor(between, 1.0)


def _anchor(scale: float, ratio: float) -> tuple[float, float]:
    return scale * math.sqrt(ratio), scale / math.sqrt(ratio)


def best_iou(width: float, height: float, anchors: Iterable[tuple[float, float]]) -> float:
    """The largest intersection over union of a box with an anchor at the same centre, all given by width and height.

    `fit` calls it for every bin and feature map.
    """
    best, area = 0.0, width * height
    for across, down in anchors:
        common = (min(width, across)) * (min(height, down))
        overlap = common / (area + across * down - common)
        best = max(best, overlap)
    return best


def fit(network_input: NetworkInput, sizes: Mapping[int, int], *, too_small: int) -> dict[str, Any]:
    """The report's section `network`; `sizes` are Distributions.sizes of the train split."""
    maps = feature_maps(replace(NETWORKS[network_input.network], input_size=network_input.side))
    boxes, reached = [0] * len(maps), 0
    for bin_, count in sizes.items():
        width, height = bin_sides(bin_)
        best = [best_iou(width, height, one.anchors) for one in maps]
        boxes[best.index(max(best))] += count
        reached += count if max(best) >= MATCHED else 0
    return {
        "name": network_input.network,
        "inputSize": network_input.side,
        "leastSide": network_input.least_side,
        "tooSmall": too_small,
        "reached": round(reached / max(1, sum(sizes.values())), 4),
        "featureMaps": [
            {
                "cells": one.cells,
                "stride": one.stride,
                "anchors": [[round(width, 4), round(height, 4)] for width, height in one.anchors],
                "boxes": count,
            }
            for one, count in zip(maps, boxes, strict=True)
        ],
    }
