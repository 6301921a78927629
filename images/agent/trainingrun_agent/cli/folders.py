"""The folders of a command, checked before any work is done.

Invariant: a folder that is accepted can be listed, no image is in two splits because of its folder, and nothing is
written into the folders with data, where the next call would read it as data.
"""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.config import Source, Uri


@dataclass(frozen=True)
class Folders:
    """Sources whose bucket is a folder; all of it is read."""

    train: Source
    eval: Source | None

    @property
    def paths(self) -> list[Path]:
        """The folders of all splits, each once."""
        sources = [self.train] if self.eval is None else [self.train, self.eval]
        named = [*sources, *(source.labels for source in sources if source.labels is not None)]
        return [Path(name) for name in dict.fromkeys(source.bucket for source in named)]


def folders(arguments: Namespace) -> Folders:
    """The folders that the arguments name. Raises UsageError."""
    _check_options(arguments)
    train = _checked(arguments.folder)
    evaluation = None
    if arguments.eval is not None or arguments.eval_image_set is not None:
        evaluation = _checked(arguments.eval or train)
        if arguments.image_set is None:
            _check_apart(train, evaluation)
    form = arguments.format
    labels, eval_labels = _labels(arguments.labels), _labels(arguments.eval_labels)
    return Folders(
        Source(str(train), "", arguments.image_set, form, labels),
        None if evaluation is None else Source(str(evaluation), "", arguments.eval_image_set, form, eval_labels),
    )


def check_target(option: str, path: Path, data: Folders) -> None:
    """Raises UsageError when a file or folder to be written lies among the data, or cannot be written."""
    place = path.resolve()
    for folder in data.paths:
        if place.is_relative_to(folder.resolve()):
            raise UsageError(
                f"{option} {path} is inside {folder}, where it would be read as data: name a place outside of it"
            )
    if path.is_dir() and option != "--out":
        raise UsageError(f"{option} {path} is a folder: name a file in it")
    if option != "--out" and not os.access(path.parent, os.W_OK):
        what = "cannot be written to" if path.parent.exists() else "does not exist"
        raise UsageError(f"{option} {path}: folder {path.parent} {what}")


def _check_options(arguments: Namespace) -> None:
    if arguments.eval_fraction is not None and arguments.eval_image_set is not None:
        raise UsageError(
            "--eval-fraction and --eval-image-set both choose the images for evaluation: leave one of them out"
        )
    if arguments.eval_fraction is None and (arguments.split_seed is not None or arguments.split_group is not None):
        raise UsageError("--split-seed and --split-group need --eval-fraction: add it, or leave them out")
    if arguments.eval_labels is not None and arguments.eval is None:
        raise UsageError("--eval-labels needs --eval: add it, or leave it out")
    for labels, image_set in (("labels", "image_set"), ("eval_labels", "eval_image_set")):
        if getattr(arguments, labels) is not None and getattr(arguments, image_set) is not None:
            option = labels.replace("_", "-")
            raise UsageError(f"--{option} cannot be used with an image set, whose labels are in Annotations/")
    if arguments.eval_image_set is not None and arguments.image_set is None and arguments.eval is None:
        raise UsageError("--eval-image-set without --image-set would train on the evaluation images: add --image-set")


def _checked(folder: Path) -> Path:
    try:
        with os.scandir(folder):
            return folder
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}: name a folder with images and their labels") from error


def _labels(folder: Path | None) -> Uri | None:
    return None if folder is None else Uri(str(_checked(folder)), "")


def _check_apart(train: Path, evaluation: Path) -> None:
    one, other = train.resolve(), evaluation.resolve()
    if one == other:
        raise UsageError(
            f"--eval {evaluation} is also the folder for training: name another one, or use --eval-fraction"
        )
    inner, outer = (evaluation, train) if other.is_relative_to(one) else (train, evaluation)
    if inner.resolve().is_relative_to(outer.resolve()):
        raise UsageError(f"{inner} is inside {outer}, so its images would be in both splits: name two separate folders")
