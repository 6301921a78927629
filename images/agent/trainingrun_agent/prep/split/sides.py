"""The two sides of a data set, each with its images by shard.

Invariant: every pair is in one shard of one split, in the order of paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source.labels import Labels
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.split.shards import bucket_of, shard_count
from trainingrun_agent.prep.statistics.network_view import View
from trainingrun_agent.prep.statistics.tally import Tally
from trainingrun_agent.storage.base import ObjectStore


@dataclass(frozen=True)
class OpenSource:
    """A source whose labels, of this format, can be read; `prefix` is its key."""

    store: ObjectStore
    prefix: str
    format: str
    labels: Labels


@dataclass
class Side:
    """One split: `listed` image files, those that have labels by shard, and what is wrong with the others.

    `tally` is filled while they are checked.
    """

    split: Split
    source: OpenSource
    listed: int
    shards: list[list[Pair]]
    findings: list[Finding]
    tally: Tally

    @property
    def images(self) -> int:
        """How many are checked."""
        return sum(map(len, self.shards))


def sides(sources: Mapping[Split, OpenSource], side_of: Callable[[str], Split] | None, *, view: View) -> list[Side]:
    """Each source is a split; with `side_of`, the only one is parted by the paths of its images."""
    if side_of is None:
        return [_side(split, source, view, lambda _: True) for split, source in sources.items()]
    [source] = sources.values()

    def side(split: Split) -> Side:
        return _side(split, source, view, lambda path: side_of(path) == split)

    return [side("train"), side("eval")]


def _side(split: Split, source: OpenSource, view: View, mine: Callable[[str], bool]) -> Side:
    pairing = source.labels.pairing
    pairs = [pair for pair in pairing.pairs if mine(pair.image.path)]
    count = shard_count(sum(pair.image.size for pair in pairs))
    shards: list[list[Pair]] = [[] for _ in range(count)]
    for pair in pairs:
        shards[bucket_of(pair.image.path, count)].append(pair)
    findings = [finding.in_split(split) for finding in pairing.findings if mine(finding.file)]
    bad = len({finding.file for finding in findings if finding.severity is Severity.ERROR})
    return Side(
        split,
        source,
        len(pairs) + sum(mine(image.path) for image in pairing.unpaired),
        shards,
        findings,
        Tally(view, bad=bad),
    )
