"""The nouns of messages on the command line: options and folders instead of fields of a TrainingRun."""

from __future__ import annotations

from trainingrun_agent.terms import Terms

_OPTIONS = {
    "dataset.classes": "--classes",
    "dataset.evalFraction": "--eval-fraction",
    "dataset.maxImageSide": "--max-image-side",
    "dataset.splitSeed": "--split-seed",
    "model.network": "--network",
}
OPTIONS = Terms(_OPTIONS, change="use another", retry="run the command again")


def for_folders(train: str, evaluation: str | None) -> Terms:
    """The terms of a command that reads these folders."""
    folders = {"dataset.train": train, "dataset.eval": evaluation or "--eval"}
    return Terms({**_OPTIONS, **folders}, change=OPTIONS.change, retry=OPTIONS.retry)
