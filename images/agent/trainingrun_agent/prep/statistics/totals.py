"""Totals of the images and boxes of a shard or of a split.

Invariant: totals of parts add up to the totals of the whole, in whatever order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from trainingrun_agent.prep.image.check import Checked
from trainingrun_agent.prep.statistics.distributions import Distributions
from trainingrun_agent.prep.statistics.network_input import NetworkInput

MAX_NAMES = 10_000
SAMPLES = 4
MUCH_LARGER = 4
"""Times as large as the network's input."""
FLAGS = ("difficult", "occluded", "truncated")


@dataclass
class Totals:
    """Numbers of images, objects and files.

    - `images`, `objects`: those in records; `negatives` are images without an object
    - `bad`: files that cannot be used
    - `per_class`, `flags`: objects in records by class, and by what their labels flag
    - `seen`: all objects in the labels by class name, whether they can be used or not
    - `too_small`: objects smaller than the network can learn; `larger`: images much larger than its input
    - `samples`: paths of the first images with each class
    """

    network_input: NetworkInput

    images: int = 0
    objects: int = 0
    negatives: int = 0
    max_boxes: int = 0
    bad: int = 0
    per_class: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    too_small: int = 0
    larger: int = 0
    samples: dict[str, list[str]] = field(default_factory=dict)
    statistics: Distributions = field(default_factory=Distributions)

    def add(self, checked: Checked, *, too_small: int) -> None:
        """Count an image; `too_small` of its boxes are too small for the network."""
        self._see(checked.seen)
        if not checked.usable:
            self.bad += 1
            return
        self.images += 1
        self.objects += len(checked.boxes)
        self.negatives += not checked.boxes
        self.max_boxes = max(self.max_boxes, len(checked.boxes))
        self.too_small += too_small
        self.larger += max(checked.size) > MUCH_LARGER * self.network_input.side
        self.statistics.add(checked.boxes, checked.size, self.network_input.scales(*checked.size))
        names = [box.name for box in checked.boxes]
        self.per_class.update(names)
        for name in dict.fromkeys(names):  # in an order that every process has
            self._sample(name, [checked.path])
        for flag in FLAGS:
            if count := sum(map(attrgetter(flag), checked.boxes)):
                self.flags[flag] += count

    def merge(self, other: Totals) -> None:
        """Add the totals of another part."""
        self._see(other.seen)
        self.images += other.images
        self.objects += other.objects
        self.negatives += other.negatives
        self.max_boxes = max(self.max_boxes, other.max_boxes)
        self.bad += other.bad
        self.per_class.update(other.per_class)
        self.flags.update(other.flags)
        self.too_small += other.too_small
        self.larger += other.larger
        self.statistics.merge(other.statistics)
        for name, paths in other.samples.items():
            self._sample(name, paths)

    def _sample(self, name: str, paths: list[str]) -> None:
        kept = self.samples.setdefault(name, [])
        if len(kept) < SAMPLES or paths[0] < kept[-1]:
            self.samples[name] = sorted([*kept, *paths])[:SAMPLES]

    def _see(self, names: Counter[str] | Sequence[str]) -> None:
        if len(self.seen) + len(names) <= MAX_NAMES:
            self.seen.update(names)
            return
        for name, count in Counter(names).items():
            if name in self.seen or len(self.seen) < MAX_NAMES:
                self.seen[name] += count
