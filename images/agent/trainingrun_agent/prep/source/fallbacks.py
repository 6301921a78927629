r"""Find the image of labels whose path fits none: the table of rules, for label files and for names in them.

| rule | labels | image | reported as |
|---|---|---|---|
| path | the path of a label file; a name, from the folder of its label file or from the uri | its path | |
| exact | several are equal but for case, Unicode form or suffix: those written exactly so | | NameClash |
| near | the name inside a label file, if the file's own name fits no image | in the same folder | inside |
| whole | the path, with `%20` and `+` for a blank | its path | spelling |
| folders | the name and the folders before it, as many as fit, at most 8 | the end of its path | folder |
| own folders | the same without words such as `xml`: `train/xml/1.xml`, `Annotations-train/1.xml` | the same | folder |
| name | the name alone | its name | folder |

The rules are tried in this order; labels and images that fit by one are gone for the next. Path, exact and near are
in pairing.py and matching.py. The others are tried here for the labels' own path or name; for what is left, with the
name inside the label file (inside); at last without what Label Studio puts before the names of uploads (upload). Each
prefers the suffix that labels state and else takes any (suffix).

Of several images that fit, labels that are named for a split mean those in a folder of that split. Then each rule
needs one image of all, one of the labels that are left, an image without labels, and no contradiction:

- Most label files in the folder have their image by path: then the others' images are where those are.
- The labels name a folder, and it is there, but the image is not in it.
- A relative path and the path of the image both name a folder that the other lacks, besides `images` and the like.
  Folders of another machine may be any: `C:\pics\a.jpg`, `/data/upload/1/a.jpg`, `..` beyond the uri.
- The labels, their folder or file are named for another split than the folder of the image: `train`, `val2017`.
- The image is a mask by its name or folder, and the labels do not say the same.

Invariant: time and memory grow with the number of images and labels, whatever their names.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from typing import Generic, TypeVar

from trainingrun_agent.prep.source.claims import Claim
from trainingrun_agent.prep.source.spelling import bare, loose, original_of_mask, own_part, own_parts
from trainingrun_agent.prep.source.split_names import splits_of

MAX_FOLDERS = 8
MAX_NAMED = 3
"""Images that an answer names of those that have one name."""
SEVERAL, RIVALS, TAKEN, CONTRADICTED = "several", "rivals", "taken", "contradicted"


@dataclass(frozen=True)
class Answer:
    """The image of a claim, or why none is: `case` is how it is reported; `images` are the first of `count`."""

    case: str
    images: tuple[str, ...]
    count: int = 1

    @property
    def found(self) -> bool:
        """Whether the claim has its image."""
        return self.case not in (SEVERAL, RIVALS, TAKEN, CONTRADICTED)


T = TypeVar("T", bound=Hashable)
Step = tuple[str, Callable[[T], Claim | None]]
"""What finds are reported as, or empty for the rule's own case; and the claim that labels make, if they make one."""


def search(
    labels: Iterable[T], steps: Iterable[Step[T]], *, images: Sequence[str], free: Iterable[str], one_each: bool
) -> dict[T, Answer]:
    """The images of labels, step by step; no answer for labels whose name no image has.

    `images` are all that labels can mean, `free` those of them that have no labels. `one_each`: the labels are files,
    of which an image has one; else they are names, and the same name twice means the same image.
    """
    left, answers = list(labels), dict[T, Answer]()
    finder = _Finder[T](images, set(free), one_each=one_each)
    for case, claim_of in steps:
        made = finder.answers({one: claim for one in left if (claim := claim_of(one)) is not None})
        for one, answer in made.items():
            if answer.found or one not in answers:
                answers[one] = replace(answer, case=case) if answer.found and case else answer
        left = [one for one in left if one not in answers or not answers[one].found]
        if not finder.free:
            break
    return answers


class _Image:
    """An image whose name a claim has."""

    __slots__ = ("folders", "name", "own_folders", "path", "splits")

    def __init__(self, path: str) -> None:
        self.path = path
        folder, _, self.name = loose(path).rpartition("/")
        self.folders = tuple(folder.split("/")) if folder else ()
        self.own_folders = own_parts(self.folders)
        self.splits = splits_of(folder)


_FoldersOf = Callable[[_Image | Claim], Sequence[str] | None]
"""The folders that have to be equal; None for a path that has fewer."""


class _Finder(Generic[T]):
    """Finds the images of claims; `free` are those without labels, and those found are taken out."""

    def __init__(self, images: Sequence[str], free: set[str], *, one_each: bool) -> None:
        self._images, self.free, self._one_each = images, free, one_each

    def answers(self, claims: dict[T, Claim]) -> dict[T, Answer]:
        """The answers to claims; none to a claim whose name no image has."""
        wanted = {bare(claim.name) for claim in claims.values()}
        named = [_Image(path) for path in self._images if bare(_name(path)) in wanted] if wanted else []
        answers: dict[T, Answer] = {}
        for rule, folders_of in _levels(claims.values()) if named else ():
            for name_of in (_full, _bare):
                made = dict(self._at(rule, claims, named, _key(folders_of, name_of)))
                claims = {one: claim for one, claim in claims.items() if one not in made}
                answers |= made
        return answers

    def _at(
        self, rule: str, claims: Mapping[T, Claim], named: Sequence[_Image], key_of: Callable[[_Image | Claim], str]
    ) -> Iterator[tuple[T, Answer]]:
        """The answers to the claims whose keys images have."""
        asking: dict[str, list[T]] = {}
        for one, claim in claims.items():
            if key := key_of(claim):
                asking.setdefault(key, []).append(one)
        images: dict[str, list[_Image]] = {}
        for image in named if asking else ():
            if (key := key_of(image)) in asking:
                images.setdefault(key, []).append(image)
        for key, found in images.items():
            yield from self._shared(rule, {one: claims[one] for one in asking[key]}, found)

    def _shared(self, rule: str, claims: Mapping[T, Claim], found: Sequence[_Image]) -> Iterator[tuple[T, Answer]]:
        """The answers to claims that the same images fit."""
        by_split: dict[frozenset[str], dict[T, Claim]] = {}
        for one, claim in claims.items():
            by_split.setdefault(claim.splits, {})[one] = claim
        meant = {said: [image for image in found if not said.isdisjoint(image.splits)] or found for said in by_split}
        taken = set[str]()
        for said, asking in by_split.items():
            image = meant[said][0]
            others = [one for other, one in by_split.items() if meant[other][0] is image and not _apart(other, image)]
            rivals = not _apart(said, image) and self._differ(chain.from_iterable(one.values() for one in others))
            for one, claim in asking.items():
                answer = self._answer(rule, claim, meant[said], rivals=rivals)
                if answer.found:
                    taken.add(image.path)
                yield one, answer
        self.free -= taken

    def _differ(self, claims: Iterable[Claim]) -> bool:
        """Whether claims are those of several labels."""
        made = list(claims)
        return len(made if self._one_each else {(claim.folders, claim.name) for claim in made}) > 1

    def _answer(self, rule: str, claim: Claim, found: Sequence[_Image], *, rivals: bool) -> Answer:
        paths = tuple(image.path for image in found[:MAX_NAMED])
        image = found[0]
        case = (
            (SEVERAL if len(found) > 1 else "")
            or (RIVALS if rivals else "")
            or (TAKEN if image.path not in self.free else "")
            or (CONTRADICTED if rule != "spelling" and self._contradicts(claim, image) else "")
        )
        if case:
            return Answer(case, paths, len(found))
        other_suffix = claim.name != image.name and bare(claim.name) != claim.name and not claim.own
        return Answer("suffix" if rule == "spelling" and other_suffix else rule, paths)

    def _contradicts(self, claim: Claim, image: _Image) -> bool:
        """Whether the image is certainly not the one that the claim is about."""
        if claim.home:
            return True
        if _apart(claim.splits, image):
            return True
        if original_of_mask(loose(image.path)) == bare(claim.name) and image.folders[-1:] != claim.folders[-1:]:
            return True
        if any(self._is_there(claim, at) for at, part in enumerate(claim.folders) if part not in image.folders):
            return True
        mine, theirs = set(claim.own_folders), set(image.own_folders)
        return claim.relative and not claim.own and not (mine <= theirs or theirs <= mine)

    def _is_there(self, claim: Claim, at: int) -> bool:
        """Whether the folder of a claim is there and has images."""
        part, path = claim.folders[at], "/".join(claim.folders[: at + 1])
        if (claim.own or not claim.relative) and not own_part(part):
            return False  # many folders are named `images`
        there = self._folders.get(part, set())
        return len(there) > (claim.own and path in there)

    @cached_property
    def _folders(self) -> dict[str, set[str]]:
        """The paths of the folders that have images in them or below, by their names."""
        made: dict[str, set[str]] = {}
        for folder in {path.rpartition("/")[0] for path in self._images}:
            path = loose(folder)
            while path and path not in (known := made.setdefault(path.rpartition("/")[2], set())):
                known.add(path)
                path = path.rpartition("/")[0]
        return made


def _apart(said: frozenset[str], image: _Image) -> bool:
    """Whether the folder of an image is named for other splits than those said."""
    return bool(said and image.splits) and said.isdisjoint(image.splits)


def masks(images: Sequence[str], left: Iterable[str]) -> set[str]:
    """The images without labels that are drawings of the labels of another image of the same name."""
    drawn = {path: original for path in left if (original := original_of_mask(loose(path))) is not None}
    wanted = set(drawn.values())
    there = {name for path in images if path not in drawn and (name := bare(_name(path))) in wanted} if drawn else set()
    return {path for path, original in drawn.items() if original in there}


def _levels(claims: Iterable[Claim]) -> Iterator[tuple[str, _FoldersOf]]:
    """The rules in their order."""
    depth = min(MAX_FOLDERS, max(len(claim.folders) for claim in claims))
    yield "spelling", lambda path: path.folders
    yield from (("folder", partial(_last, count)) for count in range(depth, 0, -1))
    yield from (("folder", partial(_last_own, count)) for count in range(depth, 0, -1))
    yield "folder", lambda _: ()


def _last(count: int, path: _Image | Claim) -> Sequence[str] | None:
    return path.folders[-count:] if len(path.folders) >= count else None


def _last_own(count: int, path: _Image | Claim) -> Sequence[str] | None:
    return path.own_folders[-count:] if len(path.own_folders) >= count else None


def _key(folders_of: _FoldersOf, name_of: Callable[[_Image | Claim], str]) -> Callable[[_Image | Claim], str]:
    """What has to be equal for labels and their image; empty for a path that has fewer folders."""

    def key(path: _Image | Claim) -> str:
        folders = folders_of(path)
        return "" if folders is None else "/".join((*folders, name_of(path)))

    return key


def _name(path: str) -> str:
    return loose(path.rpartition("/")[2])


def _full(path: _Image | Claim) -> str:
    return path.name


def _bare(path: _Image | Claim) -> str:
    return bare(path.name)
