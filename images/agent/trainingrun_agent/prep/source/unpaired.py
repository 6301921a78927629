"""Findings about labels that a fallback has paired, and about images and labels that nothing has paired.

Invariant: one finding per file or name if many have a partner, one for all if hardly any has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from trainingrun_agent.prep.model.codes.kind import Fields, FindingKind, Value
from trainingrun_agent.prep.model.codes.pairs import (
    FOUND_BY_NAME,
    IMAGE_AMBIGUOUS,
    IMAGE_ELSEWHERE,
    IMAGES_IGNORED,
    NOTHING_PAIRED,
)
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.fallbacks import SEVERAL, Answer

HARDLY_ANY = 20
"""If less than one in so many files is paired, one finding is about all others."""


def found_by_name(used: Iterable[tuple[str, str, str]]) -> list[Finding]:
    """A finding per rule, from the rule, the labels and the image of each use."""
    counts, first = Counter[str](), dict[str, tuple[str, str]]()
    for rule, labels, image in used:
        counts[rule] += 1
        first.setdefault(rule, (labels, image))
    return [
        _about_all(FOUND_BY_NAME, {"case": rule, "count": counts[rule], "first": labels, "second": image})
        for rule, (labels, image) in first.items()
    ]


def ignored(case: str, images: Sequence[str]) -> list[Finding]:
    """A finding about images that are not used, if there are any."""
    return [_about_all(IMAGES_IGNORED, {"case": case, "count": len(images), "first": images[0]})] if images else []


def image_unclear(labels: str, answer: Answer, **fields: str) -> Finding:
    """The finding about labels whose name images have, but no image that is certainly theirs."""
    if answer.case == SEVERAL:
        return Finding(IMAGE_AMBIGUOUS, labels, {**fields, "count": answer.count, "images": answer.images})
    return Finding(IMAGE_ELSEWHERE, labels, {**fields, "case": answer.case, "other": answer.images[0]})


def nothing_paired(
    images: Sequence[str], labels: Sequence[str], unclear: Mapping[str, Answer], *, pairs: int, file: str = ""
) -> list[Finding]:
    """The finding about all images and labels that are left if hardly any is paired, else none.

    `labels` are label files, or the names in `file`; `unclear` has those whose name images have.
    """
    if not images or not labels or pairs * HARDLY_ANY >= min(len(images), len(labels)):
        return []
    first, second, case = labels[0], images[0], "names"
    if sum(label in unclear for label in labels) * 2 > len(labels):
        causes = Counter(answer.case for answer in unclear.values())
        [(case, _)] = causes.most_common(1)
        first, second = next((label, answer.images[0]) for label, answer in unclear.items() if answer.case == case)
    fields: dict[str, Value] = {"labelCount": len(labels), "labelFolder": file or _folder(labels), "first": first}
    fields |= {"imageCount": len(images), "imageFolder": _folder(images), "second": second}
    return [_about_all(NOTHING_PAIRED, {"case": case, **fields})]


def _about_all(kind: FindingKind, fields: Fields) -> Finding:
    return Finding(kind, "", fields, wide=True)


def _folder(paths: Sequence[str]) -> str:
    """The folder that all paths are below."""
    first, last = (path.split("/")[:-1] for path in (min(paths), max(paths)))
    same = takewhile(lambda both: both[0] == both[1], zip(first, last, strict=False))
    return "".join(f"{part}/" for part, _ in same) or "./"
