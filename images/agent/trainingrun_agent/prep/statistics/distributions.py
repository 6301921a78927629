"""Distributions of the sizes, shapes and positions of boxes and of the sizes of images, for the report.

Invariant: their size is bounded, whatever the data set. Distributions of parts add up to that of the whole.
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
"""Bins of `sizes` per half octave. Eight are needed to decide whether an anchor's IoU exceeds 0.5; the report merges
them."""
_OCTAVE = 2 * FINE
_LONGEST = -_OCTAVE
"""Bin of sides twice as long as the input's; for Faster R-CNN, the longer side of an image is at most that long."""
_ROUNDING = 1e-9
"""Added to bins before rounding down, so that exactly half of the input is in one bin however log2 rounds."""
_FINES = (SIZE_BINS + 1) * FINE - _LONGEST


def bin_sides(bin_: int) -> tuple[float, float]:
    """The (width, height) in the middle of a bin of `sizes`; 1 is the side of the network's input."""
    wide, high = (place + _LONGEST for place in divmod(bin_, _FINES))
    return float(2 ** (-(wide + 0.5) / _OCTAVE)), float(2 ** (-(high + 0.5) / _OCTAVE))


@dataclass
class Distributions:
    """Numbers of boxes, or of images, by bin.

    - `sizes`: boxes by width and height at the network's input, in sixteenths of an octave; see `bin_sides`
    - `aspects`: boxes by width divided by height, in quarter octaves
    - `centres`: boxes by the cell of a grid over the image that their centre is in, row by row
    - `boxes_per_image`: images by their number of boxes; MAX_BOXES stands for more as well
    - `image_sides`: images by their longer side in pixels, in half octaves
    """

    sizes: Counter[int] = field(default_factory=Counter)
    aspects: Counter[int] = field(default_factory=Counter)
    centres: Counter[int] = field(default_factory=Counter)
    boxes_per_image: Counter[int] = field(default_factory=Counter)
    image_sides: Counter[int] = field(default_factory=Counter)

    def add(self, boxes: Sequence[LabelledObject], size: tuple[int, int], scales: tuple[float, float]) -> None:
        """Count the boxes of an image of (width, height) pixels; `scales` as in NetworkInput.scales."""
        width, height = size
        # Called for every box of the data set, so compute what all boxes of an image share only once.
        wide_start, high_start = (_ROUNDING - _LONGEST - _OCTAVE * log2(scale) for scale in scales)
        columns, rows = GRID / 2 / width, GRID / 2 / height
        sizes, aspects, centres = [], [], []
        for box in boxes:
            xmin, ymin, xmax, ymax = box.xmin, box.ymin, box.xmax, box.ymax
            wide_log, high_log = log2(xmax - xmin), log2(ymax - ymin)
            wide, high = int(wide_start - _OCTAVE * wide_log), int(high_start - _OCTAVE * high_log)
            if not (0 <= wide < _FINES and 0 <= high < _FINES):
                wide, high = max(0, min(_FINES - 1, wide)), max(0, min(_FINES - 1, high))
            sizes.append(wide * _FINES + high)
            aspects.append(round(4 * (wide_log - high_log)))
            centres.append(int((ymin + ymax) * rows) * GRID + int((xmin + xmax) * columns))
        self.sizes.update(sizes)
        self.aspects.update(aspects)
        self.centres.update(centres)
        self.boxes_per_image[min(MAX_BOXES, len(boxes))] += 1
        self.image_sides[floor(2 * log2(max(size)))] += 1

    def merge(self, other: Distributions) -> None:
        """Add the distributions of another part."""
        self.sizes.update(other.sizes)
        self.aspects.update(other.aspects)
        self.centres.update(other.centres)
        self.boxes_per_image.update(other.boxes_per_image)
        self.image_sides.update(other.image_sides)

    def to_json(self) -> dict[str, Any]:
        """The document of report.schema.json."""
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
