"""Which annotation belongs to which image.

Invariant: every image and every annotation ends in exactly one pair or one error finding. Names decide,
without regard to case; an annotation whose own name fits no image is paired by its <filename>.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainingrun_agent.prep.findings import Finding, error
from trainingrun_agent.prep.listing import (
    ANNOTATION_SUFFIX,
    ANNOTATIONS_FOLDER,
    IMAGE_SUFFIXES,
    IMAGES_FOLDER,
    Entry,
    Listing,
)

FilenameOf = Callable[[Entry], str]
"""Reads the <filename> of an annotation; empty when there is none or the file cannot be read."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its labels."""

    image: Entry
    annotation: Entry


@dataclass(frozen=True)
class Pairing:
    """`pairs` sorted by the image's path; `images` is how many image files the split has."""

    pairs: list[Pair]
    findings: list[Finding]
    images: int


def pair(listing: Listing, filename_of: FilenameOf) -> Pairing:
    """Pair the files of one source."""
    tree = listing.tree or listing.members is not None
    wanted = None if listing.members is None else {name.casefold() for name in listing.members}
    images = _by_name(_inside(listing.images, IMAGES_FOLDER, tree=tree), IMAGES_FOLDER, tree=tree, wanted=wanted)
    labels = _by_name(
        _inside(listing.annotations, ANNOTATIONS_FOLDER, tree=tree), ANNOTATIONS_FOLDER, tree=tree, wanted=wanted
    )
    total = sum(len(group) for group in images.values())
    findings = [_absent(name) for name in listing.members or () if name.casefold() not in images]
    pairs = _same_name(images, labels)
    pairs += _same_filename(images, labels, filename_of)
    findings += [_unlabelled(image) for group in images.values() for image in group]
    findings += [_orphan(label) for group in labels.values() for label in group]
    pairs.sort(key=lambda item: item.image)
    findings.sort(key=lambda finding: finding.file)
    return Pairing(pairs, findings, total)


def _inside(entries: list[Entry], folder: str, *, tree: bool) -> list[Entry]:
    return [entry for entry in entries if not tree or entry.path.startswith(f"{folder}/")]


def _by_name(entries: list[Entry], folder: str, *, tree: bool, wanted: set[str] | None) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries):
        name = _name(entry.path[len(folder) + 1 :] if tree else entry.path)
        if wanted is None or name in wanted:
            groups.setdefault(name, []).append(entry)
    return groups


def _name(path: str) -> str:
    """The path without its suffix, `.xml.xml` and `.jpg.xml` included, without case."""
    stem = PurePosixPath(path.casefold())
    if stem.suffix == ANNOTATION_SUFFIX:
        while stem.suffix == ANNOTATION_SUFFIX or stem.suffix in IMAGE_SUFFIXES:
            stem = stem.with_suffix("")
        return str(stem)
    return str(stem.with_suffix(""))


def _same_name(images: dict[str, list[Entry]], labels: dict[str, list[Entry]]) -> list[Pair]:
    """Take out the pairs with one image and one annotation of a name."""
    names = [name for name in images.keys() & labels.keys() if len(images[name]) == len(labels[name]) == 1]
    return [Pair(images.pop(name)[0], labels.pop(name)[0]) for name in names]


def _same_filename(
    images: dict[str, list[Entry]], labels: dict[str, list[Entry]], filename_of: FilenameOf
) -> list[Pair]:
    """Take out the pairs where the <filename> of an annotation names one image that is left."""
    left = {
        (_folder(name), PurePosixPath(image.path).name.casefold()): (name, image)
        for name, group in images.items()
        for image in group
    }
    pairs = []
    for name in sorted(labels):
        for label in list(labels[name]):
            filename = PurePosixPath(filename_of(label).replace("\\", "/")).name.casefold()
            found = left.pop((_folder(name), filename), None)
            if found is not None:
                labels[name].remove(label)
                images[found[0]].remove(found[1])
                pairs.append(Pair(found[1], label))
    return pairs


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _absent(name: str) -> Finding:
    return error(
        "ImageMissing",
        f"{IMAGES_FOLDER}/{name}",
        seen=f"the image set names it, but no image below {IMAGES_FOLDER}/ has that name",
        hint="Upload the image, or take its name out of the image set.",
    )


def _unlabelled(image: Entry) -> Finding:
    return error(
        "ImageWithoutAnnotation",
        image.path,
        seen="no annotation of that name, or the name is not unique",
        hint="Label the image; for one without objects save an annotation without boxes.",
    )


def _orphan(label: Entry) -> Finding:
    return error(
        "AnnotationWithoutImage",
        label.path,
        seen="no image of that name or <filename>, or the name is not unique",
        hint="Upload the image, or delete the annotation.",
    )
