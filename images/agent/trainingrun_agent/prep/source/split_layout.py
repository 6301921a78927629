"""Splits that a data set came with, and sources of which one holds the other: findings for both.

Invariant: only names and numbers of files are looked at; what is found changes nothing in the data set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from trainingrun_agent.config import Source
from trainingrun_agent.prep.model.codes.kind import Value
from trainingrun_agent.prep.model.codes.whole import EVAL_INSIDE_TRAIN, SPLITS_POOLED
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source.listing import SETS_FOLDER, Listing
from trainingrun_agent.prep.source.spelling import says_mask
from trainingrun_agent.prep.source.split_names import is_plain, is_split_list, splits_of
from trainingrun_agent.training_settings import Uri

DEPTH = 3
"""How many folders deep splits are looked for."""
_SPLITS: tuple[Split, ...] = ("train", "eval")
Name = Callable[[Uri], str]
"""What the reader calls a folder."""


def findings(sources: Mapping[Split, Source], listings: Mapping[Split, Listing], name: Name) -> Iterator[Finding]:
    """What to know about the splits that the data came with."""
    train, evaluation = sources["train"], sources.get("eval")
    if evaluation is not None and (case := _overlap(train, evaluation)):
        count = len(listings["eval" if case == "inside" else "train"].images)
        fields: dict[str, Value] = {"case": case, "count": count, "train": name(train), "eval": name(evaluation)}
        yield Finding(EVAL_INSIDE_TRAIN, "./", fields, wide=True)
        return
    if train.image_set is not None:
        return
    found = _folders(listings["train"])
    if found is not None:
        folders = {split: name(Uri(train.bucket, train.key + folder)) for split, folder in found.kept_apart()}
        fields = {"case": "folders", "parts": found.shown(), **folders}
        yield Finding(SPLITS_POOLED, found.parent or "./", fields, wide=True)
    elif trees := _trees(listings["train"]):
        sets = trees[0]
        fields = {"case": "setsBelow" if sets.folder else "sets", "train": sets.train, "eval": sets.eval}
        if sets.folder:
            fields["other"] = name(Uri(train.bucket, train.key + sets.folder))
        yield Finding(SPLITS_POOLED, f"{sets.folder}{SETS_FOLDER}/", fields, wide=True)
    elif lists := _lists(listings["train"]):
        yield Finding(SPLITS_POOLED, "./", {"case": "lists", "parts": lists}, wide=True)


@dataclass(frozen=True)
class Published:
    """The sources of the splits that a folder came with; `unused` are numbers of images by folder of another split."""

    train: Source
    eval: Source
    unused: Mapping[str, int]


def published(source: Source, listing: Listing) -> Published | None:
    """The splits that a folder came with, as folders or as image sets; None if it came with none."""
    if (found := _folders(listing)) is not None:
        folders = dict(found.kept_apart())
        train, evaluation = (replace(source, key=source.key + folders[split]) for split in _SPLITS)
        return Published(train, evaluation, found.others(set(folders.values())))
    trees = _trees(listing)
    if len(trees) != 1 or not all(image.path.startswith(trees[0].folder) for image in listing.images):
        return None
    tree = replace(source, key=source.key + trees[0].folder)
    return Published(replace(tree, image_set=trees[0].train), replace(tree, image_set=trees[0].eval), {})


def _overlap(train: Source, evaluation: Source) -> str:
    """Whether one folder is in the other and no image set keeps them apart."""
    if train.bucket != evaluation.bucket:
        return ""
    if train.image_set is None and evaluation.key.startswith(train.key):
        return "inside"
    return "around" if evaluation.image_set is None and train.key.startswith(evaluation.key) else ""


@dataclass
class _Folders:
    """Folders of splits in one folder; `images` are counts by folder name."""

    parent: str
    images: Counter[str] = field(default_factory=Counter)

    def of(self, split: str) -> list[str]:
        """The names of the folders for a split: the largest first, `train` before `train - copy`."""
        named = [name for name, _ in self.images.most_common() if split in splits_of(name)]
        return sorted(named, key=lambda name: not is_plain(name))

    @property
    def complete(self) -> bool:
        """Whether there is something to train on, and something else to evaluate on."""
        return bool(self.of("train") and (self.of("val") or self.of("test")))

    def kept_apart(self) -> Iterator[tuple[str, str]]:
        """The folder to train on, and the one to evaluate on."""
        yield "train", f"{self.parent}{self.of('train')[0]}/"
        yield "eval", f"{self.parent}{(self.of('val') or self.of('test'))[0]}/"

    def others(self, used: set[str]) -> dict[str, int]:
        """The folders that are not used, with their numbers of images."""
        folders = {f"{self.parent}{name}/": count for name, count in self.images.most_common()}
        return {folder: count for folder, count in folders.items() if folder not in used}

    def shown(self) -> list[str]:
        """The folders with their numbers of images."""
        return [f"{name}/ {count}" for name, count in self.images.most_common()]


def _folders(listing: Listing) -> _Folders | None:
    """The folders of splits with most images."""
    found: dict[str, _Folders] = {}
    folders = Counter(image.path[: image.path.rfind("/") + 1] for image in listing.images)
    for folder, count in folders.items():
        if says_mask(folder.casefold()):
            continue  # no split of images: panoptic_train/ beside COCO's labels
        names = folder.split("/")[:-1][:DEPTH]
        for at, name in enumerate(names):
            if len(splits_of(name)) == 1:
                parent = "".join(f"{one}/" for one in names[:at])
                found.setdefault(parent, _Folders(parent)).images[name] += count
                break
    complete = [one for one in found.values() if one.complete]
    return max(complete, key=lambda one: one.images.total(), default=None)


def _lists(listing: Listing) -> list[str]:
    """Text files that list the images of splits, as darknet and Ultralytics have them, if there are several."""
    files = [one.path for one in listing.by_suffix.get(".txt", ()) if one.size and is_split_list(one.path)]
    several = any("train" in splits_of(path) for path in files) and not all("train" in splits_of(one) for one in files)
    return sorted(files) if several else []


class _Sets(NamedTuple):
    """The image sets of a VOC tree to train on and to evaluate on; `folder` is that of the tree, below the source."""

    folder: str
    train: str
    eval: str


def _trees(listing: Listing) -> list[_Sets]:
    """The VOC trees, at the source or below it, that have both."""
    names: dict[str, set[str]] = {}
    for path in (*listing.sets, *(entry.path for entry in listing.by_suffix.get(".txt", ()))):
        folder, main, name = path.rpartition(f"{SETS_FOLDER}/")
        if main and "/" not in name and (not folder or folder.endswith("/")):
            names.setdefault(folder, set()).add(PurePosixPath(name).stem)
    return [sets for folder in sorted(names) if (sets := _sets(folder, names[folder])) is not None]


def _sets(folder: str, names: Container[str]) -> _Sets | None:
    train = next((name for name in ("trainval", "train") if name in names), None)
    evaluation = next((name for name in ("test", "val") if name in names), None)
    if train == "trainval" and evaluation == "val":
        train = "train" if "train" in names else None
    return _Sets(folder, train, evaluation) if train and evaluation else None
