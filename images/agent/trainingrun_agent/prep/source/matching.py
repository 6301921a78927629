"""Find the image that a name in a label file means.

Invariant: every image and every name ends in one match or one error finding, or is counted by one finding about many; a
name that could mean several images means none. The rules and their order are those of the table in fallbacks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from trainingrun_agent.prep.model.codes.pairs import IMAGE_MISSING, IMAGE_WITHOUT_ANNOTATION
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.claims import Claim, claim_of_name, without_address, without_upload
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.fallbacks import SEVERAL, Answer, masks, search
from trainingrun_agent.prep.source.index import Listed
from trainingrun_agent.prep.source.spelling import bare, fold, loose, stem
from trainingrun_agent.prep.source.unpaired import found_by_name, ignored, image_unclear, nothing_paired

_SEVERAL = ""


@dataclass(frozen=True)
class Names:
    """The images of a source by path."""

    images: list[str]
    paths: dict[str, str]

    @classmethod
    def from_images(cls, images: Iterable[Entry]) -> Names:
        """Index the images of a listing."""
        made = cls([image.path for image in images], {})
        for path in made.images:
            folded = fold(path)
            made.paths[folded] = _SEVERAL if folded in made.paths else path
        return made

    def knows(self, name: str) -> bool:
        """Whether an image has this name, with or without suffix, in any folder."""
        last = loose(name).rpartition("/")[2]
        return bare(last) in self._known or bare(without_upload(last)) in self._known

    def find(self, name: str, folder: str) -> str | None:
        """The image whose path a name in a label file in this folder is; with suffix, or if it has none, without."""
        path = fold(name)
        paths = self._stems if stem(path) == path else self.paths
        for whole, written in ((fold(f"{folder}/{path}"), f"{folder}/{name}"), (path, name)):
            found = paths.get(whole)
            if found == _SEVERAL:
                found = self._twins.get(written.replace("\\", "/").removeprefix("/").removeprefix("./"))
            if found:
                return found
        return None

    @cached_property
    def _known(self) -> set[str]:
        return {bare(loose(path.rpartition("/")[2])) for path in self.images}

    @cached_property
    def _stems(self) -> dict[str, str]:
        """The images by path without suffix: names of some formats have none."""
        made: dict[str, str] = {}
        for path in self.images:
            name = stem(fold(path))
            made[name] = _SEVERAL if name in made else path
        return made

    @cached_property
    def _twins(self) -> dict[str, str]:
        """The images whose paths differ by case or Unicode form only: with the exact one, a name means one."""
        return {path: path for path in self.images if self.paths[fold(path)] == _SEVERAL}


Inner = Callable[[str], str]
"""The path of a label file below the folder that has the labels."""


@dataclass
class Matches:
    """By the path of an image: `ids` have the id of its first entry, `repeats` those of the others.

    `ignored` are images that no labels are for.
    """

    ids: dict[str, int] = field(default_factory=dict)
    repeats: dict[str, list[int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)

    def add(self, path: str, entry: Listed) -> None:
        """Add an entry about the image at a path."""
        if self.ids.setdefault(path, entry.id) != entry.id:
            self.repeats.setdefault(path, []).append(entry.id)

    def drop(self, entries: AbstractSet[int]) -> None:
        """Forget the entries with these ids."""
        if entries:
            self.ids = {path: number for path, number in self.ids.items() if number not in entries}


def match(
    names: Names, listed: Iterable[Listed], images: Iterable[Entry], *, complete: bool, inner: Inner = str
) -> Matches:
    """Match every entry with an image; with `complete`, an entry without image is an error."""
    made = Matches()
    left: dict[_Claims, list[Listed]] = {}
    absent: list[Listed] = []
    for entry in listed:
        if path := _by_path(names, entry, inner(entry.file).rpartition("/")[0]):
            made.add(path, entry)
        elif names.knows(entry.name) or (entry.alias and names.knows(entry.alias)):
            left.setdefault(_claims(entry, inner(entry.file)), []).append(entry)
        elif complete:
            absent.append(entry)
    made.ignored = masks(names.images, [path for path in names.images if path not in made.ids])
    answers = _search(left, [path for path in names.images if path not in made.ignored], made.ids)
    for claims, entries in left.items():
        answer = answers.get(claims)
        if answer is None:
            absent += entries if complete else []
        elif answer.found:
            for entry in entries:
                made.add(answer.images[0], entry)
    made.findings += found_by_name(_uses(left, answers)) + ignored("masks", sorted(made.ignored))
    unlisted = [image.path for image in images if image.path not in made.ids and image.path not in made.ignored]
    unclear = [
        (entry, answer)
        for claims, answer in answers.items()
        if answer.case == SEVERAL or (complete and not answer.found)
        for entry in left[claims]
    ]
    made.findings += _left_over(absent, unclear, unlisted, pairs=len(made.ids))
    return made


def _by_path(names: Names, entry: Listed, folder: str) -> str | None:
    """The image whose path an entry states."""
    found = names.find(entry.name, folder)
    return found if found or not entry.alias else names.find(without_address(entry.alias), folder)


class _Claims(NamedTuple):
    """What an entry says about the path of its image: by its name, and by the name that it had before an upload."""

    stated: Claim
    uploaded: Claim | None


def _claims(entry: Listed, file: str) -> _Claims:
    stated = claim_of_name(entry.name, file)
    return _Claims(stated, claim_of_name(entry.alias, file) if entry.alias else stated.before_upload())


def _search(left: Collection[_Claims], images: Sequence[str], taken: Container[str]) -> dict[_Claims, Answer]:
    """The answers to the names that are the path of no image."""
    steps = (("", attrgetter("stated")), ("upload", attrgetter("uploaded")))
    free = [path for path in images if path not in taken] if left else []
    return search(left, steps, images=images, free=free, one_each=False)


def _uses(left: Mapping[_Claims, list[Listed]], answers: Mapping[_Claims, Answer]) -> Iterator[tuple[str, str, str]]:
    """Rule, name and image of each name that a rule found the image of."""
    for claims, answer in answers.items():
        if answer.found:
            yield answer.case, left[claims][0].name, answer.images[0]


def _left_over(
    absent: Sequence[Listed], unclear: Sequence[tuple[Listed, Answer]], unlisted: Sequence[str], *, pairs: int
) -> list[Finding]:
    """The findings about names without image and images without name: one each, or one about all."""
    entries = [*(entry for entry, _ in unclear), *absent]
    about_all = nothing_paired(
        unlisted,
        [entry.name for entry in entries],
        {entry.name: answer for entry, answer in unclear},
        pairs=pairs,
        file=entries[0].file if entries else "",
    )
    return about_all or [
        *map(_missing, absent),
        *(image_unclear(entry.name, answer, labelFile=entry.file) for entry, answer in unclear),
        *map(_unlisted, unlisted),
    ]


def _missing(entry: Listed) -> Finding:
    return Finding(IMAGE_MISSING, entry.name, {"case": "labelFile", "labelFile": entry.file})


def _unlisted(image: str) -> Finding:
    return Finding(IMAGE_WITHOUT_ANNOTATION, image, {"case": "list"})
