"""Distributions of boxes and images, for the report.

Invariant: bounded, whatever the data set; those of parts add up to that of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor, log2
from typing import Any

from trainingrun_agent.prep.model.annotation import LabelledObject

GRID = 32
SIZE_BINS, ASPECT_BINS, MAX_BOXES = 20, 16, 51
FINE = 8
"""Bins of `sizes` in a half octave, in which the report tells them: whether an anchor's IoU is above 0.5 follows from
an eighth of it, and not from the whole."""
_OCTAVE = 2 * FINE
_LONGEST = -_OCTAVE
"""Bin of sides of twice the input; on Faster R-CNN's the longer side of an image is that long at most."""
_ROUNDING = 1e-9
"""Of a bin: half of an image is half of it, however log2 rounds."""
_FINES = (SIZE_BINS + 1) * FINE - _LONGEST


def bin_sides(bin_: int) -> tuple[float, float]:
    """The (width, height) that stands for a bin of `sizes`, in sides of the network's input."""
    wide, high = (place + _LONGEST for place in divmod(bin_, _FINES))
    return float(2 ** (-(wide + 0.5) / _OCTAVE)), float(2 ** (-(high + 0.5) / _OCTAVE))


@dataclass
class Distributions:
    """`sizes` are by sixteenths of an octave of width and of height at the network's input, see `bin_sides`.

    `aspects` are by quarter octaves of width over height in pixels, `centres` by cells of a grid over the image, row by
    row, `image_sides` by half octaves of the longer side in pixels, `boxes_per_image` up to MAX_BOXES, which stands for
    more as well.
    """

    sizes: Counter[int] = field(default_factory=Counter)
    aspects: Counter[int] = field(default_factory=Counter)
    centres: Counter[int] = field(default_factory=Counter)
    boxes_per_image: Counter[int] = field(default_factory=Counter)
    image_sides: Counter[int] = field(default_factory=Counter)

    def add(self, boxes: Sequence[LabelledObject], size: tuple[int, int], scales: tuple[float, float]) -> None:
        """Count the boxes of an image of (width, height) pixels; `scales` as in NetworkInput.scales."""
        width, height = size
        # Called for every box of the data set: what is the same for all boxes of an image is done once.
        wide_start, high_start = (_ROUNDING - _LONGEST - _OCTAVE * log2(scale) for scale in scales)
        columns, rows = GRID / 2 / width, GRID / 2 / height
        sizes, aspects, centres = self.sizes, self.aspects, self.centres
        for box in boxes:
            xmin, ymin, xmax, ymax = box.xmin, box.ymin, box.xmax, box.ymax
            wide_log, high_log = log2(xmax - xmin), log2(ymax - ymin)
            wide, high = int(wide_start - _OCTAVE * wide_log), int(high_start - _OCTAVE * high_log)
            if not (0 <= wide < _FINES and 0 <= high < _FINES):
                wide, high = max(0, min(_FINES - 1, wide)), max(0, min(_FINES - 1, high))
            sizes[wide * _FINES + high] += 1
            aspects[round(4 * (wide_log - high_log))] += 1
            column, row = int((xmin + xmax) * columns), int((ymin + ymax) * rows)
            centres[row * GRID + column] += 1
        self.boxes_per_image[min(MAX_BOXES, len(boxes))] += 1
        self.image_sides[floor(2 * log2(max(size)))] += 1

    def merge(self, other: Distributions) -> None:
        """Count another part."""
        self.sizes.update(other.sizes)
        self.aspects.update(other.aspects)
        self.centres.update(other.centres)
        self.boxes_per_image.update(other.boxes_per_image)
        self.image_sides.update(other.image_sides)

    def to_json(self) -> dict[str, Any]:
        """As in report.schema.json."""
        return {
            "sizes": [[i, j, count] for (i, j), count in sorted(self._coarse_sizes().items())],
            "aspects": sorted(map(list, self._bounded_aspects().items())),
            "centres": [self.centres[cell] for cell in range(GRID * GRID)],
            "boxesPerImage": sorted(map(list, self.boxes_per_image.items())),
            "imageSides": sorted(map(list, self.image_sides.items())),
        }

    def _coarse_sizes(self) -> Counter[tuple[int, int]]:
        coarse: Counter[tuple[int, int]] = Counter()
        for bin_, count in self.sizes.items():
            wide, high = ((place + _LONGEST) // FINE for place in divmod(bin_, _FINES))
            coarse[max(0, wide), max(0, high)] += count
        return coarse

    def _bounded_aspects(self) -> Counter[int]:
        bounded: Counter[int] = Counter()
        for aspect, count in self.aspects.items():
            bounded[max(-ASPECT_BINS, min(ASPECT_BINS, aspect))] += count
        return bounded
