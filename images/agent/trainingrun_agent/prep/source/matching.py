"""Find the image that a name in a label file means.

Invariant: every image and every name ends in a match or one error finding; a name that could mean several
images means none. Case, Unicode form and the folders of the annotator's own machine do not matter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath

from trainingrun_agent.prep.model.codes.pairs import (
    IMAGE_AMBIGUOUS,
    IMAGE_MISSING,
    IMAGE_WITHOUT_ANNOTATION,
)
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.index import Listed
from trainingrun_agent.prep.source.listing import IMAGE_SUFFIXES, Entry

_SEVERAL = ""
MAX_NAMED = 3
"""Images that a finding names of those that have one name."""


@dataclass(frozen=True)
class Names:
    """The images of a source by name: by whole path, by file name, by file name without suffix."""

    paths: dict[str, str]
    names: dict[str, list[str]]
    stems: dict[str, list[str]]

    @classmethod
    def from_images(cls, images: Iterable[Entry]) -> Names:
        """Index the images of a listing."""
        made = cls({}, {}, {})
        for image in images:
            path = fold(image.path)
            made.paths[path] = _SEVERAL if path in made.paths else image.path
            name = path.rpartition("/")[2]
            made.names.setdefault(name, []).append(image.path)
            made.stems.setdefault(stem(name), []).append(image.path)
        return made

    def knows(self, name: str) -> bool:
        """Whether an image has this name, with or without suffix."""
        return stem(fold(name).rpartition("/")[2]) in self.stems

    def find(self, name: str, folder: str) -> list[str]:
        """The images that a name in a label file in this folder can mean."""
        path = fold(name)
        for whole in (fold(f"{folder}/{path}"), path):
            if found := self.paths.get(whole):
                return [found]
        last = path.rpartition("/")[2]
        found_names = self.names.get(last) or self.stems.get(stem(last), [])
        near = self._ends.get(_end(path), ()) if "/" in path else ()
        return [found for found in near if fold(found).endswith(f"/{path}")] or found_names

    @cached_property
    def _ends(self) -> dict[str, list[str]]:
        """The images by folder and file name: many folders may have the same names."""
        made: dict[str, list[str]] = {}
        for path in chain.from_iterable(self.names.values()):
            made.setdefault(_end(fold(path)), []).append(path)
        return made


def _end(path: str) -> str:
    """The last folder of a path, if any, and the file's name."""
    return "/".join(path.rsplit("/", 2)[-2:])


def fold(path: str) -> str:
    """A path in lower case, normal Unicode form and with forward slashes, for comparison."""
    folded = unicodedata.normalize("NFC", path.replace("\\", "/")).casefold()
    while folded.startswith(("./", "/")):
        folded = folded[folded.index("/") + 1 :]
    return folded


def stem(name: str) -> str:
    """A file name without the suffix of an image; other dots belong to the name."""
    head, dot, suffix = name.rpartition(".")
    return head if dot and f".{suffix}" in IMAGE_SUFFIXES else name


@dataclass
class Matches:
    """By the path of an image: `ids` have the id of its first entry, `repeats` those of the others."""

    ids: dict[str, int] = field(default_factory=dict)
    repeats: dict[str, list[int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def drop(self, entries: AbstractSet[int]) -> None:
        """Forget the entries with these ids."""
        if entries:
            self.ids = {path: number for path, number in self.ids.items() if number not in entries}


def match(names: Names, listed: Iterable[Listed], images: Iterable[Entry], *, complete: bool) -> Matches:
    """Match every entry with an image; with `complete`, an entry without image is an error."""
    made = Matches()
    for entry in listed:
        folder = str(PurePosixPath(entry.file).parent)
        found = names.find(entry.name, folder) or (names.find(entry.alias, folder) if entry.alias else [])
        if len(found) == 1:
            [path] = found
            if made.ids.setdefault(path, entry.id) != entry.id:
                made.repeats.setdefault(path, []).append(entry.id)
        elif found:
            made.findings.append(_ambiguous(entry, found))
        elif complete:
            made.findings.append(_missing(entry))
    made.findings += [_unlisted(image) for image in images if image.path not in made.ids]
    return made


def _missing(entry: Listed) -> Finding:
    return Finding(IMAGE_MISSING, entry.name, {"case": "labelFile", "labelFile": entry.file})


def _ambiguous(entry: Listed, found: list[str]) -> Finding:
    return Finding(
        IMAGE_AMBIGUOUS, entry.name, {"labelFile": entry.file, "count": len(found), "images": found[:MAX_NAMED]}
    )


def _unlisted(image: Entry) -> Finding:
    return Finding(IMAGE_WITHOUT_ANNOTATION, image.path, {"case": "list"})
