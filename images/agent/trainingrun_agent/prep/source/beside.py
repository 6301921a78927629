"""Find what belongs to a source but lies beside its folder, or above it.

Invariant: nothing outside of the bucket is looked at; a folder above the source is never listed with what is below it;
what may not be listed or read is not there; files for another split, or for a folder beside the source, are not taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from typing import NamedTuple

from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.home import Home
from trainingrun_agent.prep.source.listing import IMAGE_SUFFIXES, Listing, is_label, suffix_of
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.source.readers import FORMATS, FileFormat, SetFormat, class_files
from trainingrun_agent.prep.source.readers.values import text_of
from trainingrun_agent.prep.source.siblings import Siblings
from trainingrun_agent.prep.source.spelling import bare, fold, own_part, own_parts, stem
from trainingrun_agent.prep.source.split_names import splits_of

LEVELS, DEEPEST = 2, 4
"""Folders above a source that are looked at; where their name is `images`, so many."""
MAX_SETS, MAX_UNNAMED = 20, 100_000
"""Files for many images, and files with other names than the images, that are looked at in one folder."""
HEAD = 64 << 10
_LABELS = ("labels", "label", "annotations", "annotation", "annots", "annot", "anns", "ann", "xml", "xmls", "labeltxt")
_IMAGES = ("images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "frames")
_WORDS = re.compile(r"[a-z]+")
_SET_SUFFIXES = frozenset(chain.from_iterable(one.suffixes for one in FORMATS.values() if isinstance(one, SetFormat)))
_ASIDE = [one.aside for one in FORMATS.values() if isinstance(one, FileFormat) and one.aside is not None]
_SUFFIX = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))})(?![\w.])", re.IGNORECASE)
_BEFORE_A_NAME = re.compile(r"[\"',;<>\t\r\n]")
MAX_NAME = 300


class Neighbour(NamedTuple):
    """A file beside a source; `place` is its folder, `entry.path` begins with `place.shown`."""

    place: Place
    entry: Entry


class Labels(NamedTuple):
    """Files beside a source that may hold its labels; `others` are files there that belong to no image of it."""

    place: Place
    files: list[Entry]
    others: int
    sets_only: bool


def above(place: Place, wanted: Callable[[str], bool], *, levels: int = LEVELS) -> Iterator[Neighbour]:
    """The files in the folders above a place that may be read, the nearest first. `wanted` gets names in lower case."""
    for folder in _folders_above(place.widened, levels):
        for info in folder.store.children(folder.key).files:
            name = info.key[len(folder.key) :]
            if wanted(name.casefold()) and folder.store.readable(info.key):
                yield Neighbour(folder, Entry(folder.shown + name, info.size, info.etag))


def _folders_above(place: Place, levels: int) -> Iterator[Place]:
    folder: Place | None = place
    for _ in range(levels):
        folder = folder and folder.above
        if folder is None:
            return
        yield folder


@dataclass(frozen=True)
class Search:
    """Looks for the labels of images beside their folder. `list_files` is `listing.files` with all but the folder."""

    images: Place
    listing: Listing
    list_files: Callable[[Place], Iterator[tuple[str | None, Entry]]]

    def labels(self) -> Iterator[Labels]:
        """What may be the labels of the images, the most likely first."""
        names = self.images.key.rstrip("/").split("/")
        for level, folder in enumerate(_folders_above(self.images, DEEPEST), start=1):
            inside = names[-level:]
            if level > LEVELS and not _is_for_images(inside[0]):
                continue
            children = folder.store.children(folder.key)
            for key in sorted(filter(self._may_hold_labels, children.folders), key=_rank):
                for place in _parts(folder.down(key), inside):
                    yield from _usable(self._in_folder(place))
            if level <= LEVELS:
                files = [Entry(folder.path_of(one.key), one.size, one.etag) for one in children.files]
                sets = [entry for entry in files if not self._is_named_as_an_image(entry)]
                yield from _usable(Labels(folder, self._sets(folder, sets, near=level == 1), 0, sets_only=True))

    def _may_hold_labels(self, key: str) -> bool:
        named = not _words(_name(key)).isdisjoint(_LABELS) and not self.home.is_for_another(_name(key))
        return named and not self.images.key.startswith(key)

    @cached_property
    def home(self) -> Home:
        """The folder of the images, as files beside it name it."""
        plain = Home(self.images.key)
        inside = {folder for image in self.listing.images for folder in image.path.split("/")[:-1]}
        own = {own_part(fold(name)) for name in (*plain.names, *inside)}
        return Home(plain.key, self._siblings.said - own)

    @cached_property
    def _siblings(self) -> Siblings:
        return Siblings.of(self.images)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The images by file name, with and without suffix."""
        found = [fold(image.path).rpartition("/")[2] for image in self.listing.images]
        return frozenset(chain(found, map(stem, found)))

    def named(self, folder: Place) -> Labels:
        """The files of a folder that is named for the labels; all of them, if none is for one of these images."""
        for place in _parts(folder, [_name(self.images.key)]):
            labels = self._in_folder(place)
            if labels.files:
                return labels
        return self._in_folder(folder, all_files=True)

    def claimed_by(self, labels: Labels) -> str | None:
        """An image in a folder beside that of the images for which these labels may be as well; None if there is none.

        Labels that name the folder of the images, or its split, are certainly theirs.
        """

        @cache
        def is_ours(path: str) -> bool:
            said = own_parts(fold(path).split("/"))
            return self._siblings.own in said or not self.home.splits.isdisjoint(splits_of(path))

        names = set[str]()
        shared = self._siblings.places and labels.place.shown.count("../") >= self._siblings.levels
        for entry in labels.files if shared else ():
            folder, _, name = entry.path.rpartition("/")
            if is_ours(folder) or _is_list(entry):
                continue
            if self._is_named_as_an_image(entry):
                names.add(bare(fold(name).removesuffix(suffix_of(name))))
            elif not (
                is_ours(name.rpartition(".")[0])
                or any(map(is_ours, self._folders_of_ours(_image_names(labels.place, entry))))
            ):
                names |= self._names
        return self._siblings.same_name(names) if names else None

    def _in_folder(self, place: Place, *, all_files: bool = False) -> Labels:
        """The files of a folder that may be labels of the images, without a folder in it for another split."""
        kept: list[Entry] = []
        lists: list[Entry] = []
        sets: list[Entry] = []
        rest: list[Entry] = []
        for_another = cache(self.home.is_for_another)
        others = 0
        for kind, (path, size, etag) in self.list_files(place):
            if not is_label(kind) or for_another(path.rpartition("/")[0]):
                continue
            entry = Entry(place.shown + path, size, etag)
            if self._is_named_as_an_image(entry):
                kept.append(entry)
            elif _is_list(entry):
                lists.append(entry)
            elif kind in _SET_SUFFIXES and len(sets) < MAX_SETS:
                sets.append(entry)
            elif all_files and len(rest) < MAX_UNNAMED:
                rest.append(entry)
            else:
                others += 1
        fitting = self._sets(place, sets, near=True)
        if all_files:
            return Labels(place, sorted(lists + kept + sets + rest), others, sets_only=False)
        others += len(sets) - len(fitting)
        return Labels(place, lists + kept + fitting if kept or fitting else [], others, sets_only=False)

    def _is_named_as_an_image(self, entry: Entry) -> bool:
        name = fold(entry.path).rpartition("/")[2].removesuffix(suffix_of(entry.path))
        return name in self._names or stem(name) in self._names

    def _sets(self, place: Place, entries: list[Entry], *, near: bool) -> list[Entry]:
        """The files with labels of many images that are about these images, by their names or the images they list."""
        entries = [one for one in entries if suffix_of(one.path) in _SET_SUFFIXES and not self._is_for_another(one)]
        named = [one for one in entries if splits_of(_name(one.path)) & self.home.splits]
        fitting = named or [one for one in entries[:MAX_SETS] if self._lists_an_image(place, one, near=near)]
        # COCO has captions and keypoints of the same images beside the boxes.
        return [one for one in fitting if _name(one.path).startswith("instances")] or fitting

    def _is_for_another(self, entry: Entry) -> bool:
        return self.home.is_for_another(_name(entry.path).rpartition(".")[0])

    def _lists_an_image(self, place: Place, entry: Entry, *, near: bool) -> bool:
        """Whether the beginning of the file names an image of the source, or, near it, none at all."""
        if not entry.size or not place.store.readable(place.key_of(entry.path)):
            return False
        listed = list(_image_names(place, entry))
        if any(not self.home.is_elsewhere(folder.split("/")) for folder in self._folders_of_ours(listed)):
            return True
        return near and not listed and not splits_of(_name(entry.path))

    def _folders_of_ours(self, listed: Iterable[str]) -> Iterator[str]:
        """The folders in the names that images of the source have."""
        for folder, _, name in (path.rpartition("/") for path in listed):
            if name in self._names or stem(name) in self._names:
                yield folder


def _parts(labels: Place, inside: list[str]) -> Iterator[Place]:
    """Where in a folder of labels those of the images may be; `inside` leads from the folder that has both to them."""
    plain = [name for name in inside if not _is_for_images(name)]
    for path in dict.fromkeys(map(tuple, (inside, plain, inside[1:]))):
        if path and (part := _follow(labels, path)) is not None:
            yield part
    if len(inside) == 1 or len(plain) < len(inside):
        yield labels


def _usable(labels: Labels) -> Iterator[Labels]:
    if labels.files and labels.place.store.readable(labels.place.key_of(labels.files[0].path)):
        yield labels


def _follow(place: Place, names: Iterable[str]) -> Place | None:
    """The folder that these names lead to, whatever their case."""
    for name in names:
        same = [key for key in place.store.children(place.key).folders if _name(key).casefold() == name.casefold()]
        if not same:
            return None
        place = place.down(same[0])
    return place


def _image_names(place: Place, entry: Entry) -> Iterator[str]:
    """The names of images in the beginning of a file, folded."""
    text = text_of(place.store.get_range(place.key_of(entry.path), start=0, length=min(HEAD, entry.size)))
    for found in _SUFFIX.finditer(text):
        before = text[max(0, found.start() - MAX_NAME) : found.end()]
        yield fold(_BEFORE_A_NAME.split(before)[-1].replace("\\/", "/"))


def _rank(key: str) -> tuple[int, str]:
    name = _name(key).casefold()
    return _LABELS.index(name) if name in _LABELS else len(_LABELS), name


def _is_list(entry: Entry) -> bool:
    name = _name(entry.path).casefold()
    in_table = "class-descriptions" in name  # of Open Images
    return in_table or class_files.rank(name) is not None or any(aside(name) for aside in _ASIDE)


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _is_for_images(name: str) -> bool:
    return not _words(name).isdisjoint(_IMAGES)


def _words(name: str) -> set[str]:
    return set(_WORDS.findall(name.casefold()))
