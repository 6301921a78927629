"""A folder that holds the splits of a data set is checked, and trained on, as these splits.

Invariant: only where nothing on the command line says which images are for evaluation.
"""

from __future__ import annotations

import threading
from argparse import Namespace
from dataclasses import replace

from trainingrun_agent.cli.folders import Folders
from trainingrun_agent.prep.source.listing import scan
from trainingrun_agent.prep.source.split_layout import published
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import StoreFor


def with_published_splits(
    data: Folders, arguments: Namespace, store_for: StoreFor, *, progress: Progress, stop: threading.Event
) -> Folders:
    """The folders of the splits, or the data as it is. Raises what storage raises, Interrupted."""
    train = data.train
    chosen = (data.eval, arguments.eval_fraction, train.image_set, train.labels)
    if any(choice is not None for choice in chosen):
        return data
    listing = scan(store_for(train.bucket), train, split="train", progress=progress, stop=stop)
    found = published(train, listing)
    return data if found is None else replace(data, train=found.train, eval=found.eval, unused=found.unused)
