"""The splits of a data set, each with its images by shard.

Invariant: every pair of an image and its labels is in one shard of one split, in the order of paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source.labels import SourceLabels
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.split.shards import shard_count, shard_of
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.prep.statistics.totals import Totals


@dataclass(frozen=True)
class OpenSource:
    """A source whose labels can be read: `format` is that of its labels, `images` is where its images are."""

    images: Place
    format: str
    labels: SourceLabels


@dataclass
class DatasetSplit:
    """One split: `listed` counts its image files, `shards` are the ones with labels, `findings` are about the others.

    `totals` are filled while the images are checked.
    """

    name: Split
    source: OpenSource
    listed: int
    shards: list[list[Pair]]
    findings: list[Finding]
    totals: Totals

    @property
    def images(self) -> int:
        """Number of images to check."""
        return sum(map(len, self.shards))


def divide(
    sources: Mapping[Split, OpenSource], split_of: Callable[[str], Split] | None, *, network_input: NetworkInput
) -> list[DatasetSplit]:
    """Make each source a split; with `split_of`, divide the only source by the paths of its images."""
    if split_of is None:
        return [_split(name, source, network_input, lambda _: True) for name, source in sources.items()]
    [source] = sources.values()

    def part(name: Split) -> DatasetSplit:
        return _split(name, source, network_input, lambda path: split_of(path) == name)

    return [part("train"), part("eval")]


def _split(
    name: Split, source: OpenSource, network_input: NetworkInput, belongs: Callable[[str], bool]
) -> DatasetSplit:
    pairing = source.labels.pairing
    pairs = [pair for pair in pairing.pairs if belongs(pair.image.path)]
    count = shard_count(sum(pair.image.size for pair in pairs))
    shards: list[list[Pair]] = [[] for _ in range(count)]
    for pair in pairs:
        shards[shard_of(pair.image.path, count)].append(pair)
    findings = [finding.in_split(name) for finding in pairing.findings if belongs(finding.file)]
    unpaired = {image.path for image in pairing.unpaired if belongs(image.path)}
    named = {finding.file for finding in findings if finding.severity is Severity.ERROR}
    bad = len((named | unpaired) - {""})  # no file: a finding about many
    return DatasetSplit(
        name,
        source,
        len(pairs) + len(unpaired),
        shards,
        findings,
        Totals(network_input, bad=bad),
    )
