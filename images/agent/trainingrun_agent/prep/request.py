"""The request to prepare a data set: everything that a preparation depends on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Dataset, Source
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.split import eval_fraction
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore, StoreFor
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.terms import TRAININGRUN, Terms

Describe = Callable[[Sequence[DatasetSplit], Sequence[Path]], Mapping[str, Any] | None]
"""Makes the `dataset` of a TrainingRun from the splits, and from the files of their boxes."""


def no_description(_splits: Sequence[DatasetSplit], _boxes: Sequence[Path], /) -> None:
    """For a report without a `dataset`."""


@dataclass(frozen=True, kw_only=True)
class PrepareRequest:
    """What to prepare, for which network, from and to which buckets, and who asks.

    `dataset` may have neither `eval` nor `split`: then all of it is for training. Sources are read from the buckets of
    `store_for`; the data set is written to `out`, below `keys`, with `producer` in its manifest. `scratch` is a folder
    for temporary files. `terms` are the nouns of report.html and of the verdict's findings. `left_out` has what the
    listing of a source left out, with the cause. `describe` makes the `dataset` of the report.
    """

    dataset: Dataset
    network: str
    input_size: int | None = None
    store_for: StoreFor
    out: ObjectStore
    keys: BucketKeys
    producer: Producer
    scratch: Path
    progress: Progress
    stop: threading.Event
    clock: Clock = field(default_factory=Clock)
    terms: Terms = TRAININGRUN
    left_out: Callable[[Source], Mapping[str, str]] = lambda _: {}
    describe: Describe = no_description

    @property
    def network_input(self) -> NetworkInput:
        """The input of the network, in which boxes are measured."""
        return NetworkInput.for_network(self.network, self.input_size)

    @property
    def sources(self) -> Mapping[Split, Source]:
        """The sources by split; if `dataset.split` divides a single source, it is under `train`."""
        train, evaluation = self.dataset.train, self.dataset.eval
        return {"train": train} if evaluation is None else {"train": train, "eval": evaluation}

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that the data set will have."""
        return ("train",) if self.dataset.eval is None and self.dataset.split is None else ("train", "eval")

    @property
    def split_of(self) -> Callable[[str], Split] | None:
        """The split of an image by its path, if a single source is divided."""
        rule = self.dataset.split
        return None if rule is None else partial(eval_fraction.split_of, rule=rule)
