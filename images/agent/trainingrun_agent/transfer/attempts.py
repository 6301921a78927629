"""Attempts at training that left something in the bucket."""

from __future__ import annotations

from collections.abc import Iterator

from trainingrun_agent.keys import Attempt, RunKeys
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.subfolders import subfolders


def training_attempts(store: ObjectStore, run: RunKeys, *, before_epoch: int) -> Iterator[Attempt]:
    """Attempts of earlier epochs, oldest first; one request each."""
    for folder in subfolders(store, run.attempts("train")):
        attempt = run.parse_attempt("train", folder)
        if attempt is not None and attempt.epoch < before_epoch:
            yield attempt
