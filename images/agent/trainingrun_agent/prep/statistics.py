"""Distributions of boxes and images, for the report.

Invariant: bounded, whatever the data set; those of parts add up to that of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor, log2
from typing import Any

from trainingrun_agent.prep.annotation import LabelledObject

GRID = 32
SIZE_BINS, ASPECT_BINS, MAX_BOXES = 20, 16, 51


def middle(bin_: int) -> float:
    """The side that stands for a bin of `sizes`, in sides of the network's input."""
    return float(2 ** (-(bin_ + 0.5) / 2))


@dataclass
class Statistics:
    """`sizes` are by half octaves: bin i holds sides in (2^-(i+1)/2, 2^-i/2] of the network's input.

    `aspects` are by quarter octaves of width over height in pixels, `centres` by cells of a grid over the image, row by
    row, `image_sides` by half octaves of the longer side in pixels, `boxes_per_image` up to MAX_BOXES, which stands for
    more as well.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    aspects: Counter[int] = field(default_factory=Counter)
    centres: Counter[int] = field(default_factory=Counter)
    boxes_per_image: Counter[int] = field(default_factory=Counter)
    image_sides: Counter[int] = field(default_factory=Counter)

    def add(self, boxes: Sequence[LabelledObject], size: tuple[int, int], scales: tuple[float, float]) -> None:
        """Count the boxes of an image of (width, height) pixels; `scales` as in View.scales."""
        width, height = size
        across, down = scales
        sizes, aspects, centres = self.sizes, self.aspects, self.centres
        for box in boxes:
            wide, high = box.xmax - box.xmin, box.ymax - box.ymin
            wide_log, high_log = log2(wide), log2(high)
            sizes[_size_bin(wide_log + log2(across)), _size_bin(high_log + log2(down))] += 1
            aspects[max(-ASPECT_BINS, min(ASPECT_BINS, round(4 * (wide_log - high_log))))] += 1
            column = min(GRID - 1, int((box.xmin + box.xmax) * GRID / 2 / width))
            row = min(GRID - 1, int((box.ymin + box.ymax) * GRID / 2 / height))
            centres[row * GRID + column] += 1
        self.boxes_per_image[min(MAX_BOXES, len(boxes))] += 1
        self.image_sides[floor(2 * log2(max(size)))] += 1

    def merge(self, other: Statistics) -> None:
        """Count another part."""
        self.sizes.update(other.sizes)
        self.aspects.update(other.aspects)
        self.centres.update(other.centres)
        self.boxes_per_image.update(other.boxes_per_image)
        self.image_sides.update(other.image_sides)

    def to_json(self) -> dict[str, Any]:
        """As in report.schema.json."""
        return {
            "sizes": [[i, j, count] for (i, j), count in sorted(self.sizes.items())],
            "aspects": sorted(map(list, self.aspects.items())),
            "centres": [self.centres[cell] for cell in range(GRID * GRID)],
            "boxesPerImage": sorted(map(list, self.boxes_per_image.items())),
            "imageSides": sorted(map(list, self.image_sides.items())),
        }


def _size_bin(octaves: float) -> int:
    """Of a side of 2^octaves of the input."""
    return max(0, min(SIZE_BINS, floor(-2 * octaves)))
