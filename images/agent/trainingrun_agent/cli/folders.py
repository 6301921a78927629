"""The folders of a command, checked before any work is done.

Invariant: a local folder that is accepted can be listed, no image is in two splits because of its folder, and nothing
is written into the folders with data, where the next call would read it as data.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainingrun_agent.cli.options import InBucket
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.config import Source
from trainingrun_agent.training_settings import Uri


@dataclass(frozen=True)
class Folders:
    """Where the images of the splits are: in buckets, or in local folders, which take the place of a bucket each.

    `unused` are numbers of images by folder of a split that the data came with and that is not used.
    """

    train: Source
    eval: Source | None
    in_bucket: bool
    unused: Mapping[str, int] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """The local folders of all splits, each once."""
        sources = [self.train] if self.eval is None else [self.train, self.eval]
        named: list[Uri] = [*sources, *(source.labels for source in sources if source.labels is not None)]
        return [] if self.in_bucket else list(dict.fromkeys(Path(folder.bucket, folder.key) for folder in named))

    def name(self, source: Source) -> str:
        """A source as the user named it."""
        return str(source) if self.in_bucket else str(Path(source.bucket, source.key))


def folders(arguments: Namespace) -> Folders:
    """The folders that the arguments name. Raises UsageError."""
    _check_options(arguments)
    train, evaluation = arguments.folder, arguments.eval
    in_bucket = isinstance(train, InBucket)
    for option, place in (("eval", evaluation), ("labels", arguments.labels), ("eval-labels", arguments.eval_labels)):
        if place is not None and isinstance(place, InBucket) != in_bucket:
            raise UsageError(f"{train} and --{option} {place} must both be local folders, or both be in buckets")
    if evaluation is None and arguments.eval_image_set is not None:
        evaluation = train
    form = arguments.format
    made = Folders(
        _source(train, arguments.image_set, form, arguments.labels),
        None if evaluation is None else _source(evaluation, arguments.eval_image_set, form, arguments.eval_labels),
        in_bucket,
    )
    if evaluation is not None and arguments.image_set is None:
        _check_apart(train, evaluation)
    return made


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


def _source(place: Path | InBucket, image_set: str | None, form: str, labels: Path | InBucket | None) -> Source:
    folder = _folder(place)
    return Source(folder.bucket, folder.key, image_set, form, None if labels is None else _folder(labels))


def _folder(place: Path | InBucket) -> Uri:
    if isinstance(place, InBucket):
        return Uri(place.bucket, place.key)
    try:
        with os.scandir(place):
            return Uri(str(place), "")
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}: name a folder with images and their labels") from error


def _check_apart(train: Path | InBucket, evaluation: Path | InBucket) -> None:
    one, other = _absolute(train), _absolute(evaluation)
    if one == other:
        raise UsageError(
            f"--eval {evaluation} is also the folder for training: name another one, or use --eval-fraction"
        )
    inner, outer = (evaluation, train) if other.is_relative_to(one) else (train, evaluation)
    if _absolute(inner).is_relative_to(_absolute(outer)):
        raise UsageError(f"{inner} is inside {outer}, so its images would be in both splits: name two separate folders")


def _absolute(place: Path | InBucket) -> Path:
    return Path("/", place.bucket, place.key) if isinstance(place, InBucket) else place.resolve()
