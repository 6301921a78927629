"""Entries of label files about the same image: merged where they say the same, refused where they contradict.

Invariant: an image has the labels of one entry, or none and an error; there is one finding for two files, however many
images they have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from trainingrun_agent.prep.model.codes.kind import Fields, FindingKind
from trainingrun_agent.prep.model.codes.pairs import ENTRY_WITHOUT_BOXES, IMAGE_LISTED_TWICE, LABELS_REPEATED
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.index import Content, Index
from trainingrun_agent.prep.source.matching import Matches

_Files = tuple[str, str]


@dataclass
class _InCommon:
    """The images that two files have in common in one way, by the files: how many, and the first one."""

    counts: Counter[_Files] = field(default_factory=Counter)
    examples: dict[_Files, str] = field(default_factory=dict)

    def add(self, first: Content, second: Content, path: str) -> None:
        """Count an image."""
        files = (first.file, second.file)
        self.counts[files] += 1
        self.examples.setdefault(files, path)

    def findings(self, kind: FindingKind, case: Callable[[str, int], str] = lambda *_: "twoFiles") -> Iterator[Finding]:
        """A finding for each two files, about the second; `case` is that of two files."""
        for (first, second), count in self.counts.items():
            fields: Fields = {"first": first, "count": count, "example": self.examples[first, second]}
            described = "oneFile" if first == second else case(second, count)
            yield Finding(kind, second, {"case": described, **fields}, wide=True)


def merge(matches: Matches, index: Index) -> list[Finding]:
    """Leave one entry for each image, none where entries contradict each other; returns the findings."""
    same, part, empty, other = _InCommon(), _InCommon(), _InCommon(), _InCommon()
    classes_of = cache(index.classes_of)
    for path, repeats in matches.repeats.items():
        kept, contents = matches.ids[path], index.content(matches.ids[path])
        for number in repeats:
            repeat = index.content(number)
            if _same(contents, repeat):
                same.add(contents, repeat, path)
            elif not repeat.boxes:
                empty.add(contents, repeat, path)
            elif not contents.boxes:
                empty.add(repeat, contents, path)
                kept, contents = number, repeat
            elif _has_part(contents, repeat, classes_of):
                part.add(contents, repeat, path)
            elif _has_part(repeat, contents, classes_of):
                part.add(repeat, contents, path)
                kept, contents = number, repeat
            else:
                other.add(contents, repeat, path)
                matches.ids.pop(path, None)
        if path in matches.ids:
            matches.ids[path] = kept
    return [
        *same.findings(
            LABELS_REPEATED, lambda file, count: "whole" if count == len(index.entries_of(file)) else "twoFiles"
        ),
        *part.findings(LABELS_REPEATED, lambda *_: "part"),
        *empty.findings(ENTRY_WITHOUT_BOXES),
        *other.findings(IMAGE_LISTED_TWICE),
    ]


def _has_part(whole: Content, part: Content, classes_of: Callable[[str], set[str]]) -> bool:
    """Whether one file has of another's boxes all of its own classes, as COCO's keypoints have those of persons."""
    classes = classes_of(part.file)
    return whole.size == part.size and {box for box, name in whole.boxes.items() if name in classes} == set(part.boxes)


def _same(first: Content, second: Content) -> bool:
    return first.boxes.keys() == second.boxes.keys() and first.size == second.size
