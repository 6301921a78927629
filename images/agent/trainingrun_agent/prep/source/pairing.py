"""Pair images with their annotations by name.

Invariant: every image and every annotation ends in exactly one pair or one error finding. Names decide,
without regard to case and Unicode form where that leaves no doubt; an annotation whose own name fits no image is paired
by its <filename>.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from pathlib import PurePosixPath
from typing import NamedTuple

from trainingrun_agent.prep.model.codes.pairs import (
    ANNOTATION_WITHOUT_IMAGE,
    IMAGE_MISSING,
    IMAGE_WITHOUT_ANNOTATION,
    NAME_CLASH,
)
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.listing import (
    ANNOTATIONS_FOLDER,
    IMAGE_SUFFIXES,
    IMAGES_FOLDER,
    Entry,
    Listing,
    suffix_of,
)
from trainingrun_agent.prep.source.matching import fold
from trainingrun_agent.prep.source.readers import PASCAL_VOC, FileFormat

FilenameOf = Callable[[Entry], str]
"""Reads the <filename> of an annotation; empty if there is none or the file cannot be read."""


class Pair(NamedTuple):
    """An image and its labels."""

    image: Entry
    annotation: Entry


@dataclass(frozen=True)
class Pairing:
    """`pairs` sorted by the image's path; `unpaired` are the other images."""

    pairs: list[Pair]
    findings: list[Finding]
    unpaired: list[Entry]

    @property
    def images(self) -> int:
        """How many image files there are."""
        return len(self.pairs) + len(self.unpaired)


def pair(listing: Listing, filename_of: FilenameOf, *, format_: FileFormat = PASCAL_VOC) -> Pairing:
    """Pair the files of one source."""
    tree = format_ is PASCAL_VOC and (listing.tree or listing.members is not None)
    wanted = None if listing.members is None else {fold(name) for name in listing.members}
    files = label_files(listing, format_)
    images = _by_name(listing.images, IMAGES_FOLDER if tree else "", wanted=wanted, format_=format_)
    labels = _by_name(files, ANNOTATIONS_FOLDER if tree else "", wanted=wanted, format_=format_, shown=listing.shown)
    findings = [_absent(name) for name in listing.members or () if fold(name) not in images]
    clashing = [group for group in images.values() if len(group) > 1]
    findings += [_clash(image, group[0]) for group in clashing for image in group[1:]]
    pairs = _same_name(images, labels)
    pairs += _exact_name(images, labels, format_, listing.shown)
    pairs += _same_filename(images, labels, filename_of)
    left = [image for group in images.values() for image in group]
    findings += [_unlabelled(image) for image in left]
    findings += [_orphan(label) for group in labels.values() for label in group]
    pairs.sort()
    findings.sort(key=attrgetter("file"))
    return Pairing(pairs, findings, left)


def _by_name(
    entries: list[Entry], folder: str, *, wanted: set[str] | None, format_: FileFormat, shown: str = ""
) -> dict[str, list[Entry]]:
    """The entries in a folder, or all, by the name that images and labels have in common."""
    groups: dict[str, list[Entry]] = {}
    inside = f"{shown}{folder}/" if folder else shown
    for entry in sorted(entries):
        if entry.path.startswith(inside):
            name = name_of(entry.path[len(inside) :], format_)
            if wanted is None or name in wanted:
                groups.setdefault(name, []).append(entry)
    return groups


def label_files(listing: Listing, format_: FileFormat) -> list[Entry]:
    """The files of a format that hold labels."""
    files = listing.by_suffix.get(format_.suffix, [])
    aside = format_.aside
    return files if aside is None else [one for one in files if not aside(one.path.rpartition("/")[2].casefold())]


def name_of(path: str, format_: FileFormat) -> str:
    """What an image and its labels have in common: the path without suffixes (`.xml.xml`, `.jpg.xml`), folded.

    The folders that a format keeps them apart in count as one.
    """
    return _stem(fold(path), format_)


def _stem(path: str, format_: FileFormat) -> str:
    plain, _, end = path.rpartition(".")
    if "." not in plain and plain[-1:] not in ("", "/") and end and "/" not in end and not format_.folders:
        return plain  # the usual case: one suffix, and no folders to ignore
    suffix = suffix_of(path)
    stem = path[: len(path) - len(suffix)]
    if suffix == format_.suffix:
        while (suffix := suffix_of(stem)) == format_.suffix or suffix in IMAGE_SUFFIXES:
            stem = stem[: len(stem) - len(suffix)]
    if not format_.folders:
        return stem
    parts = stem.split("/")
    apart = [at for at, part in enumerate(parts[:-1]) if part in format_.folders]
    return stem if not apart else "/".join(part for at, part in enumerate(parts) if at != apart[-1])


def _same_name(images: dict[str, list[Entry]], labels: dict[str, list[Entry]]) -> list[Pair]:
    """Take out the pairs with one image and one annotation of a name."""
    names = [name for name, group in images.items() if len(group) == 1 and len(labels.get(name, ())) == 1]
    return [Pair(images.pop(name)[0], labels.pop(name)[0]) for name in names]


def _exact_name(
    images: dict[str, list[Entry]], labels: dict[str, list[Entry]], format_: FileFormat, shown: str
) -> list[Pair]:
    """Where several have the same name, take out the pairs whose names are exactly equal."""
    pairs = []
    for name in [name for name in images.keys() & labels.keys() if len(images[name]) > 1]:
        by_stem = [_by_stem(images[name], format_, ""), _by_stem(labels[name], format_, shown)]
        same = [stem for stem, group in by_stem[0].items() if len(group) == len(by_stem[1].get(stem, ())) == 1]
        pairs += [Pair(by_stem[0].pop(stem)[0], by_stem[1].pop(stem)[0]) for stem in same]
        images[name], labels[name] = (list(chain.from_iterable(left.values())) for left in by_stem)
    return pairs


def _by_stem(entries: list[Entry], format_: FileFormat, shown: str) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_stem(entry.path.removeprefix(shown), format_), []).append(entry)
    return groups


def _same_filename(
    images: dict[str, list[Entry]], labels: dict[str, list[Entry]], filename_of: FilenameOf
) -> list[Pair]:
    """Take out the pairs where the <filename> of an annotation names one image that is left."""
    left = {
        (_folder(name), PurePosixPath(image.path).name.casefold()): image
        for name, group in images.items()
        for image in group
    }
    pairs, taken = [], set[Entry]()
    for name in sorted(labels):
        for label in labels[name]:
            filename = PurePosixPath(filename_of(label).replace("\\", "/")).name.casefold()
            found = left.pop((_folder(name), filename), None)
            if found is not None:
                pairs.append(Pair(found, label))
                taken |= {found, label}
    for groups in (images, labels) if taken else ():
        for name, group in groups.items():
            groups[name] = [entry for entry in group if entry not in taken]
    return pairs


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _absent(name: str) -> Finding:
    return Finding(IMAGE_MISSING, f"{IMAGES_FOLDER}/{name}", {"case": "imageSet"})


def _clash(image: Entry, other: Entry) -> Finding:
    return Finding(NAME_CLASH, image.path, {"other": other.path})


def _unlabelled(image: Entry) -> Finding:
    return Finding(IMAGE_WITHOUT_ANNOTATION, image.path, {"case": "file"})


def _orphan(label: Entry) -> Finding:
    return Finding(ANNOTATION_WITHOUT_IMAGE, label.path, {"case": "file"})
