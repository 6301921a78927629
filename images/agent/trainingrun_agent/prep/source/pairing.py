"""Pair images with the label files that are theirs.

Invariant: every image and every label file ends in exactly one pair or one error finding, or is counted by one finding
about many. The rules and their order are those of the table in fallbacks.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
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
from trainingrun_agent.prep.source.claims import Claim, claim_of_file, claim_of_name
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.fallbacks import Answer, masks, search
from trainingrun_agent.prep.source.listing import ANNOTATIONS_FOLDER, IMAGE_SUFFIXES, IMAGES_FOLDER, Listing, suffix_of
from trainingrun_agent.prep.source.readers import PASCAL_VOC, FileFormat
from trainingrun_agent.prep.source.spelling import fold
from trainingrun_agent.prep.source.unpaired import found_by_name, ignored, image_unclear, nothing_paired

FilenameOf = Callable[[Entry], str]
"""Reads the name of the image inside a label file; empty if there is none or the file cannot be read."""
Inner = Callable[[str], str]
"""The path of a label file below the folder that has the labels."""
_Groups = dict[str, list[Entry]]


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


def pair(listing: Listing, filename_of: FilenameOf, *, format_: FileFormat = PASCAL_VOC, inner: Inner = str) -> Pairing:
    """Pair the files of one source."""
    name_inside = cache(filename_of)
    tree = format_ is PASCAL_VOC and (listing.tree or listing.members is not None)
    wanted = None if listing.members is None else {fold(name) for name in listing.members}
    images = _by_name(listing.images, IMAGES_FOLDER if tree else "", wanted=wanted, format_=format_)
    files = label_files(listing, format_)
    labels = _by_name(files, ANNOTATIONS_FOLDER if tree else "", wanted=wanted, format_=format_, inner=inner)
    findings = [_absent(name) for name in listing.members or () if fold(name) not in images]
    drawn = _take_masks(images)
    findings += [_clash(image, group[0]) for group in images.values() if len(group) > 1 for image in group[1:]]
    pairs = _same_name(images, labels) + _exact_name(images, labels, format_, inner)
    near = _near_name(images, labels, name_inside)
    rest = _Rest(list(chain(*images.values())), list(chain(*labels.values())), [*pairs, *near])
    if tree and wanted is None:
        rest.outside = [image.path for image in listing.images if not image.path.startswith(IMAGES_FOLDER)]
    drawn += rest.take_masks()
    uses = chain((("inside", pair) for pair in near), rest.take_found(name_inside, format_, inner))
    findings += found_by_name((rule, label.path, image.path) for rule, (image, label) in uses)
    findings += [*ignored("masks", drawn), *ignored("tree", rest.outside), *rest.findings()]
    findings.sort(key=attrgetter("file"))
    return Pairing(sorted(rest.pairs), findings, rest.images)


def _by_name(
    entries: list[Entry], folder: str, *, wanted: set[str] | None, format_: FileFormat, inner: Inner = str
) -> _Groups:
    """The entries by the name that images and labels have in common; of a VOC tree only those in its folders."""
    groups: _Groups = {}
    for entry in sorted(entries):
        path = inner(entry.path)
        if folder:
            if not path.startswith(folder):  # there may be more such folders: JPEGImages-2
                continue
            path = path.removeprefix(f"{folder}/")
        name = name_of(path, format_)
        if wanted is None or name in wanted:
            groups.setdefault(name, []).append(entry)
    return groups


def label_files(listing: Listing, format_: FileFormat) -> list[Entry]:
    """The files of a format that hold labels."""
    files = listing.by_suffix.get(format_.suffix, [])
    aside = format_.aside
    return files if aside is None else [one for one in files if not aside(one.path.rpartition("/")[2].casefold())]


def name_of(path: str, format_: FileFormat) -> str:
    """What an image and its labels have in common: the path without suffixes (`.xml.xml`, `.webp.jpg`), folded.

    The folders that a format keeps them apart in count as one.
    """
    path = fold(path)
    plain, _, end = path.rpartition(".")
    if "." in plain or plain[-1:] in ("", "/") or not end or "/" in end:  # else it has one suffix, as usual
        plain = _without_suffixes(path, _endings(format_.suffix))
    return _without_folders(plain, format_.folders) if format_.folders else plain


@cache
def _endings(suffix: str) -> frozenset[str]:
    return IMAGE_SUFFIXES | {suffix}


def _without_suffixes(path: str, suffixes: Container[str]) -> str:
    """A path without the suffix that it has, and without all before it that are of these."""
    suffix = suffix_of(path)
    stem = path[: len(path) - len(suffix)]
    while (suffix := suffix_of(stem)) in suffixes:
        stem = stem[: len(stem) - len(suffix)]
    return stem


def _without_folders(path: str, folders: Sequence[str]) -> str:
    """A path without the last of these folders."""
    parts = path.split("/")
    apart = [at for at, part in enumerate(parts[:-1]) if part in folders]
    return path if not apart else "/".join(part for at, part in enumerate(parts) if at != apart[-1])


def _take_masks(images: _Groups) -> list[str]:
    """Take out the drawings of labels that have the name of the image itself."""
    drawn: list[str] = []
    for name in [name for name, group in images.items() if len(group) > 1]:
        paths = [image.path for image in images[name]]
        found = masks(paths, paths)
        images[name] = [image for image in images[name] if image.path not in found]
        drawn += sorted(found)
    return drawn


def _same_name(images: _Groups, labels: _Groups) -> list[Pair]:
    """Take out the pairs with one image and one label file of a name."""
    names = [name for name, group in images.items() if len(group) == 1 and len(labels.get(name, ())) == 1]
    return [Pair(images.pop(name)[0], labels.pop(name)[0]) for name in names]


def _exact_name(images: _Groups, labels: _Groups, format_: FileFormat, inner: Inner) -> list[Pair]:
    """Where several images have the same name, take out the pairs whose names are exactly equal."""

    def stem(label: Entry) -> str:
        return _without_folders(_without_suffixes(inner(label.path), {format_.suffix}), format_.folders)

    def whole(image: Entry) -> str:
        return _without_folders(image.path, format_.folders)

    def plain(image: Entry) -> str:
        return _without_folders(_without_suffixes(image.path, frozenset()), format_.folders)

    pairs = []
    for name in [name for name in images.keys() & labels.keys() if len(images[name]) > 1]:
        for exact in (whole, plain):
            both = _by(exact, images[name]), _by(stem, labels[name])
            same = [key for key, group in both[0].items() if len(group) == len(both[1].get(key, ())) == 1]
            pairs += [Pair(both[0].pop(key)[0], both[1].pop(key)[0]) for key in same]
            images[name], labels[name] = (list(chain.from_iterable(left.values())) for left in both)
    return pairs


def _by(key: Callable[[Entry], str], entries: Iterable[Entry]) -> _Groups:
    groups: _Groups = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _near_name(images: _Groups, labels: _Groups, name_inside: FilenameOf) -> list[Pair]:
    """Take out the pairs where the name inside a label file is that of one image that is left in the same folder."""
    left = {
        (_folder(name), PurePosixPath(image.path).name.casefold()): image
        for name, group in images.items()
        for image in group
    }
    folders = {folder for folder, _ in left}
    pairs, taken = [], set[Entry]()
    for name in sorted(name for name in labels if _folder(name) in folders):
        for label in labels[name]:
            filename = PurePosixPath(name_inside(label).replace("\\", "/")).name.casefold()
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


@dataclass
class _Rest:
    """Images and label files that are left, images outside a VOC tree, and the pairs that are made."""

    images: list[Entry]
    labels: list[Entry]
    pairs: list[Pair]
    outside: list[str] = field(default_factory=list)
    unclear: dict[str, Answer] = field(default_factory=dict)
    """By label file, why the images of its name are not paired with it."""

    def take_masks(self) -> list[str]:
        """Take out the drawings of labels."""
        left = [*(image.path for image in self.images), *self.outside]
        drawn = masks([*(image.path for image, _ in self.pairs), *left], left) if left else set()
        self.images = [image for image in self.images if image.path not in drawn]
        self.outside = [path for path in self.outside if path not in drawn]
        return sorted(drawn)

    def take_found(self, name_inside: FilenameOf, format_: FileFormat, inner: Inner) -> list[tuple[str, Pair]]:
        """Pair by the rules for paths that do not fit; returns each rule that was used and its pair."""
        if not self.labels:
            return []
        homes = Counter(_folder(inner(label.path)) for _, label in self.pairs)
        homes.subtract(_folder(inner(label.path)) for label in self.labels)

        def own(label: Entry) -> Claim:
            path = inner(label.path)
            return claim_of_file(_without_suffixes(path, {format_.suffix}), home=homes[_folder(path)] > 0)

        def inside(label: Entry) -> Claim | None:
            name = name_inside(label)
            return claim_of_name(name, inner(label.path)) if name else None

        steps = (("", own), ("inside", inside), ("upload", lambda label: own(label).before_upload()))
        left = {image.path: image for image in self.images}
        images = [*(image.path for image, _ in self.pairs), *left]
        answers = search(self.labels, steps, images=images, free=left, one_each=True)
        found = [
            (answer.case, Pair(left.pop(answer.images[0]), label)) for label, answer in answers.items() if answer.found
        ]
        self.unclear = {label.path: answer for label, answer in answers.items() if not answer.found}
        self.pairs += [pair for _, pair in found]
        self.images = list(left.values())
        paired = {pair.annotation for _, pair in found}
        self.labels = [label for label in self.labels if label not in paired]
        return found

    def findings(self) -> list[Finding]:
        """What is left: one finding per file, or one about all."""
        images, labels = ([entry.path for entry in entries] for entries in (self.images, self.labels))
        about_all = nothing_paired(images, labels, self.unclear, pairs=len(self.pairs))
        return about_all or [*map(_unlabelled, images), *map(self._without_image, labels)]

    def _without_image(self, label: str) -> Finding:
        if label in self.unclear:
            return image_unclear(label, self.unclear[label])
        return Finding(ANNOTATION_WITHOUT_IMAGE, label, {"case": "file"})


def _absent(name: str) -> Finding:
    return Finding(IMAGE_MISSING, f"{IMAGES_FOLDER}/{name}", {"case": "imageSet"})


def _clash(image: Entry, other: Entry) -> Finding:
    return Finding(NAME_CLASH, image.path, {"other": other.path})


def _unlabelled(image: str) -> Finding:
    return Finding(IMAGE_WITHOUT_ANNOTATION, image, {"case": "file"})
