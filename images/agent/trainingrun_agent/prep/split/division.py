"""The groups that have each class of a folder that a rule divides, and a seed that puts every class into both splits.

Invariant: groups come from the boxes in the records, so that a seed is only offered for classes that can be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from trainingrun_agent.config import SplitRule
from trainingrun_agent.prep.output.labels_csv import boxes_by_image
from trainingrun_agent.prep.split.eval_fraction import group_key, split_of_group

MAX_SEEDS, MAX_DRAWS = 1000, 1_000_000
"""Seeds that are tried, and draws of a group in all: about a second."""


@dataclass
class Division:
    """A folder divided by `rule`; `csv` are the files with the boxes of both splits. Read only when it is asked for."""

    rule: SplitRule
    csv: Sequence[Path]

    @cached_property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups with each class, sorted."""
        found: dict[str, set[str]] = {}
        for path in self.csv:
            for image, classes in boxes_by_image(path):
                group = group_key(image, self.rule.group_by)
                for name in classes:
                    found.setdefault(name, set()).add(group)
        return {name: sorted(groups) for name, groups in found.items()}

    @cached_property
    def better_seed(self) -> int | None:
        """The first seed with which every class is in both splits, if one of the first has that."""
        rarest_first = sorted(self.groups.values(), key=len)
        if not rarest_first or len(rarest_first[0]) < 2:
            return None
        draws = 0
        for seed in range(MAX_SEEDS):
            rule = replace(self.rule, seed=seed)
            for groups in rarest_first:
                drawn = _draws_until_both(groups, rule)
                draws += drawn or len(groups)
                if not drawn or draws > MAX_DRAWS:
                    break
            else:
                return seed
            if draws > MAX_DRAWS:
                return None
        return None


def shown(group: str) -> str:
    """A group's key for people."""
    return group.strip("/") or "."


def _draws_until_both(groups: Sequence[str], rule: SplitRule) -> int:
    """How many groups have to be drawn until both splits have one; 0 if one split gets none."""
    first = split_of_group(groups[0], rule)
    return next((place for place, group in enumerate(groups, start=1) if split_of_group(group, rule) != first), 0)
