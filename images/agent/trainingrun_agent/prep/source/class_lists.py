"""Which list of class names gives the class ids in label files their names.

Invariant: of the lists in a label file's folder and in the folders above it, the nearest one counts, as the tools that
write them mean it; every list that says something else is reported. Without any list an id is a position in
spec.dataset.classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.class_names import spelling
from trainingrun_agent.prep.model.codes.classes import CLASS_LIST_UNREADABLE, CLASS_LIST_UNUSED, CLASS_LIST_USED
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source import beside, fetch
from trainingrun_agent.prep.source.beside import Neighbour
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.source.readers import Context, class_files
from trainingrun_agent.prep.source.readers.class_files import ClassFile
from trainingrun_agent.reasons.dataset import CLASS_LIST_MISMATCH, TOO_MANY_CLASS_LISTS

MAX_IN_FOLDER, MAX_COMPARED, MAX_REPORTED = 20, 50, 5
"""Lists that are read in one folder; lists that are read only to compare them; lists that are reported."""
MAX_BYTES = 4 << 20
"""Of all lists that are read and differ."""


def around(listing: Listing, labels: Place) -> list[Neighbour]:
    """The files below a place of labels, and in the folders above it, that may list classes."""
    below = [Neighbour(labels, entry) for entry in listing.lists]
    return [*below, *beside.above(labels, lambda name: class_files.rank(name) is not None)]


class ClassList(NamedTuple):
    """A list of class names: the path of its file, and what it says."""

    path: str
    content: ClassFile


class ClassLists:
    """The lists around the labels of a source. Every method may raise UserError and what storage raises."""

    def __init__(self, candidates: Sequence[Neighbour], labels: Place, without: Context) -> None:
        """`without` is what a reader is told where there is no list."""
        self._candidates, self._classes, self._without = candidates, without.classes, without
        self._root = labels.shown.rstrip("/")
        self._by_folder: dict[str, list[Neighbour]] = {}
        for one in candidates:
            self._by_folder.setdefault(_folder(one.entry.path), []).append(one)
        outside = (_folder(one.entry.path) for one in candidates if one.place != labels)
        self._above = list(dict.fromkeys(outside))
        self._read: dict[tuple[int, str, str], ClassFile] = {}
        self._size = 0
        self._in_folder: dict[str, list[ClassList]] = {}
        self._contexts: dict[str, Context] = {}
        self._elsewhere: ClassList | None = None
        self._used: dict[str, ClassList] = {}
        self._problems: list[Finding] = []
        self._unreadable: dict[str, Finding] = {}

    def context(self, path: str) -> Context:
        """What the reader of the label file at this path is told."""
        folder = _folder(path)
        known = self._contexts.get(folder)
        if known is None:
            known = self._contexts[folder] = self._context_in(folder)
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """All names in the lists that have been used, in their order."""
        listed = chain.from_iterable(one.content.names for one in self._used.values())
        return tuple(name for name in dict.fromkeys(listed) if name)

    def findings(self) -> list[Finding]:
        """Findings about the lists, once the context of every label file has been asked for."""
        used = list(self._used.values())
        found = [self._source_of_ids(one) for one in used if self._classes not in ((), one.content.names)]
        unreadable = [] if used or not self._contexts else list(self._unreadable.values())
        return [*found[:MAX_REPORTED], *self._unused(used), *self._problems, *unreadable[:MAX_REPORTED]]

    def _context_in(self, folder: str) -> Context:
        near = next((one for one in self._nearest(folder) if one.content.names), None) or self._only_one()
        points = next((one.content.keypoints for one in self._nearest(folder) if one.content.keypoints), None)
        known = replace(self._without, keypoints=points)
        if near is None:
            return known
        self._used[near.path] = near
        return replace(known, ids=near.content.names, ids_from=near.path)

    def _nearest(self, folder: str) -> Iterator[ClassList]:
        """The lists in a folder and in those above it, the nearest first."""
        while True:
            yield from self._lists_in(folder)
            if folder in ("", self._root):
                break
            folder = _folder(folder)
        for outside in self._above:
            yield from (one for one in self._lists_in(outside) if self._may_be_ours(one))

    def _may_be_ours(self, one: ClassList) -> bool:
        """Whether a list outside the source has any class asked for: it may belong to another data set."""
        asked = set(map(spelling, self._classes))
        return not asked or not one.content.names or not asked.isdisjoint(map(spelling, one.content.names))

    def _lists_in(self, folder: str) -> list[ClassList]:
        """The lists directly in a folder: those with all classes first, then those written with the labels."""
        if folder not in self._in_folder:
            ranked = sorted(self._by_folder.get(folder, ()), key=_rank)[:MAX_IN_FOLDER]
            lists = [one for one in map(self._list, ranked) if one]
            self._in_folder[folder] = sorted(lists, key=lambda one: not set(self._classes) <= set(one.content.names))
        return self._in_folder[folder]

    def _only_one(self) -> ClassList | None:
        """The list for labels that have none near them: the one there is, or the one with all classes asked for."""
        if self._elsewhere is None:
            distinct = {one.content.names: one for one in self._compared(lambda _: True)}
            suitable = [one for names, one in distinct.items() if self._classes and set(self._classes) <= set(names)]
            chosen = suitable if len(suitable) == 1 else list(distinct.values())
            if len(chosen) > 1:
                first, second = chosen[:2]
                raise UserError(CLASS_LIST_MISMATCH, first=first.path, second=second.path, count=len(chosen))
            self._elsewhere = chosen[0] if chosen else ClassList("", ClassFile())
        return self._elsewhere if self._elsewhere.content.names else None

    def _compared(self, wanted: Callable[[str], bool]) -> Iterator[ClassList]:
        """The first lists that are below the source, by path, or above it and could be ours."""
        paths = (one for one in self._candidates if wanted(one.entry.path))
        for found in islice(map(self._list, paths), MAX_COMPARED):
            if found and found.content.names and (_folder(found.path) not in self._above or self._may_be_ours(found)):
                yield found

    def _unused(self, used: Iterable[ClassList]) -> Iterator[Finding]:
        known = {one.content.names for one in used}
        if not known:
            return
        first = min(self._used)
        for one in self._compared(lambda path: path not in self._used):
            if one.content.names not in known:
                known.add(one.content.names)
                yield Finding(CLASS_LIST_UNUSED, one.path, {"names": one.content.names[:8], "list": first}, wide=True)
            if len(known) > len(self._used) + MAX_REPORTED:
                return

    def _source_of_ids(self, one: ClassList) -> Finding:
        names = one.content.names
        ids = [f"{names.index(name)} {name}" for name in self._classes if name in names]
        case = "some" if ids else "none"
        return Finding(
            CLASS_LIST_USED, one.path, {"case": case, "count": len(names), "ids": ids, "names": names[:8]}, wide=True
        )

    def _list(self, candidate: Neighbour) -> ClassList | None:
        """A candidate, or the list that it refers to; None if it lists nothing."""
        content = self._content(candidate)
        if content.instead:
            return self._named(content.instead, candidate)
        return ClassList(candidate.entry.path, content) if content.names or content.keypoints else None

    def _named(self, name: str, by: Neighbour) -> ClassList | None:
        """The list that obj.data names, next to it or in any other folder."""
        same = [one for one in self._candidates if one.entry.path.rpartition("/")[2] == name]
        same.sort(key=lambda one: (_folder(one.entry.path) != _folder(by.entry.path), len(one.entry.path)))
        content = self._content(same[0]) if same else ClassFile()
        return ClassList(same[0].entry.path, content) if content.names else None

    def _content(self, candidate: Neighbour) -> ClassFile:
        """What a file lists; files with the same name, size and ETag are read once."""
        place, entry = candidate
        name = entry.path.rpartition("/")[2].casefold()
        known = (entry.size, entry.etag or entry.path, name)
        if entry.size > class_files.MAX_BYTES:
            self._cannot_read(entry, {"case": "size", "size": entry.size, "limit": class_files.MAX_BYTES})
            return ClassFile()
        if known not in self._read:
            self._size += entry.size
            if self._size > MAX_BYTES:
                raise UserError(TOO_MANY_CLASS_LISTS, count=len(self._read), file=entry.path)
            try:
                data = fetch.read(place, entry, limit=class_files.MAX_BYTES)
            except UnusableError as problem:
                data = b""
                self._problems.append(problem.finding(entry.path, wide=True))
            self._read[known] = class_files.read(name, data)
        content = self._read[known]
        if content.problem:
            self._cannot_read(entry, {"case": "syntax", "problem": content.problem})
        return content

    def _cannot_read(self, entry: Entry, fields: Fields) -> None:
        """Remember a file that can only be a list of classes: it matters if there is no other list."""
        if class_files.lists_classes(entry.path.rpartition("/")[2].casefold()):
            self._unreadable[entry.path] = Finding(CLASS_LIST_UNREADABLE, entry.path, fields, wide=True)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _rank(one: Neighbour) -> tuple[int, str]:
    return class_files.rank(one.entry.path.rpartition("/")[2].casefold()) or 0, one.entry.path
