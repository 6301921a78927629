"""Choose how `evalFraction` divides images for whom nothing else says which of them are for evaluation.

Invariant: the rule that is returned leaves boxes of every class for training, and images for evaluation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from trainingrun_agent.config import GroupBy, SplitRule
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.output.labels_csv import boxes_by_image
from trainingrun_agent.prep.split.eval_fraction import group_key, split_of_group

FRACTION = Decimal("0.15")
SEEDS = 64
GROUPS: tuple[GroupBy, ...] = ("sequence", "image")
"""Frames of one video stay together where that leaves images for both splits."""


@dataclass
class Division:
    """What a rule gives: images with boxes by split, and boxes by split and class."""

    rule: SplitRule
    images: Counter[Split] = field(default_factory=Counter)
    classes: dict[Split, Counter[str]] = field(default_factory=lambda: {"train": Counter(), "eval": Counter()})

    def add(self, split: Split, names: Counter[str]) -> None:
        """Count an image."""
        self.images[split] += 1
        self.classes[split].update(names)

    def usable(self, classes: Sequence[str]) -> bool:
        """Whether a preparation by this rule is not refused for it."""
        return self.images["eval"] > 0 and all(self.classes["train"][name] for name in classes)

    def faults(self, classes: Sequence[str]) -> tuple[int, float]:
        """Classes that are not evaluated, then how far the classes are from the fraction: 0 is best."""
        shares = [
            self.classes["eval"][name] / max(1, self.classes["eval"][name] + self.classes["train"][name])
            for name in classes
        ]
        return shares.count(0), max(abs(share - float(self.rule.fraction)) for share in shares)


def choose_rule(boxes: Path, classes: Sequence[str]) -> SplitRule | None:
    """A rule for the images of a CSV of boxes; None if no rule leaves images for both splits."""
    for group in GROUPS:
        default = _divide(boxes, [SplitRule(FRACTION, 0, group)])
        if default[0].usable(classes) and default[0].faults(classes)[0] == 0:
            return default[0].rule
        tried = _divide(boxes, [SplitRule(FRACTION, seed, group) for seed in range(SEEDS)])
        usable = [one for one in tried if one.usable(classes)]
        if usable:
            return min(usable, key=lambda one: one.faults(classes)).rule
    return None


def _divide(boxes: Path, rules: Sequence[SplitRule]) -> list[Division]:
    """Divide the images by each rule. The rules group alike, so that groups are formed once."""
    divisions = [Division(rule) for rule in rules]
    last, splits = "", list[Split]()
    for path, names in boxes_by_image(boxes):
        group = group_key(path, rules[0].group_by)
        if group != last or not splits:
            last, splits = group, [split_of_group(group, rule) for rule in rules]
        for division, split in zip(divisions, splits, strict=True):
            division.add(split, names)
    return divisions
