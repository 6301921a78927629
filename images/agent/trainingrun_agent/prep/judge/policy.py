"""Decide whether the data is good enough for training, and find imbalances of the whole.

Invariant: decides from counts alone; the error names the class or the first files, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import mirrored
from trainingrun_agent.prep.image.check import boxes_by_name, spelled_otherwise
from trainingrun_agent.prep.judge import one_sided
from trainingrun_agent.prep.judge.words import TOP, counted, first_of
from trainingrun_agent.prep.model.class_names import nearest, spelling, suggestion
from trainingrun_agent.prep.model.codes.boxes import BOX_CLIPPED, BOX_OUTSIDE
from trainingrun_agent.prep.model.codes.classes import CLASS_SPELLING, CLASSES_ALIKE, CLASSES_MIRRORED
from trainingrun_agent.prep.model.codes.image_files import IMAGE_FORMAT_NOT_READ, IMAGES_LEFT_OUT, OBJECT_CHANGED
from trainingrun_agent.prep.model.codes.kind import Fields, Severity
from trainingrun_agent.prep.model.codes.whole import (
    BOXES_BEYOND_IMAGES,
    BOXES_TOO_SMALL,
    CLASS_IMBALANCE,
    IMAGES_MUCH_LARGER,
)
from trainingrun_agent.prep.model.findings import Finding, Findings, Split
from trainingrun_agent.prep.split.dataset_split import DatasetSplit
from trainingrun_agent.prep.split.division import Division
from trainingrun_agent.prep.statistics.totals import MUCH_LARGER, Totals
from trainingrun_agent.reasons.dataset import (
    CLASS_LOST,
    CLASS_NOT_FOUND,
    CLASSES_NOT_FOUND_ANYWHERE,
    DATA_CHANGED,
    NO_BOXES,
    NO_IMAGES,
    NO_READABLE_IMAGES,
    NO_USABLE_IMAGES,
    TOO_MANY_BAD_FILES,
)
from trainingrun_agent.terms import Change, Field, Terms

TOP_FILES = 3
MAX_FINDING_TEXT = 200
MAX_TOO_SMALL = 0.05
"""Part of the boxes above which small boxes are a warning."""
MAX_BEYOND, LEAST_BEYOND = 0.5, 10
"""Part of all boxes, and their number, above which boxes that reach beyond their images are no chance."""
MAX_IMBALANCE = 20
"""A class with fewer boxes than the most frequent class by this factor is a warning; a rule of thumb."""


def judge(
    splits: Sequence[DatasetSplit],
    *,
    division: Division | None,
    classes: Sequence[str],
    max_bad_files: str,
    findings: Findings,
) -> UserError | None:
    """The most serious reason not to use the data, or None; `division` is that of a single folder."""
    totals = {split.name: split.totals for split in splits}
    train, evaluation = totals["train"], totals.get("eval", Totals(totals["train"].network_input))
    return (
        next((error for split in splits if (error := _nothing_listed(split, division, findings))), None)
        or _labels_unused(splits, division, max_bad_files, findings)
        or _class_not_found(train, evaluation, classes, one_folder=division is not None)
        or (one_sided.not_in_train(train, evaluation, classes, division) if train.seen else None)
        or next((error for split in splits if (error := _nothing_left(split, division, findings))), None)
        or _too_many_bad(splits, max_bad_files, findings)
        or next((error for split in splits if (error := _class_lost(split, classes, findings))), None)
        or _changed(findings)
    )


def imbalance(train: Totals, classes: Sequence[str]) -> list[Finding]:
    """A warning for each class with far fewer boxes than the most frequent one."""
    most = max(classes, key=lambda name: train.per_class[name], default="")
    highest = train.per_class[most]
    return [
        Finding(CLASS_IMBALANCE, "", {"name": name, "count": count, "most": most, "mostCount": highest})
        for name in classes
        if 0 < (count := train.per_class[name]) * MAX_IMBALANCE < highest
    ]


def beyond_images(splits: Sequence[DatasetSplit], findings: Findings) -> list[Finding]:
    """A warning if most boxes do not fit their images; `findings` name each."""
    outside = findings.counts[BOX_OUTSIDE.code]
    count = findings.counts[BOX_CLIPPED.code] + outside
    boxes = sum(split.totals.objects for split in splits) + outside
    if count < LEAST_BEYOND or count <= MAX_BEYOND * boxes:
        return []
    return [Finding(BOXES_BEYOND_IMAGES, "", {"count": count, "of": boxes}, wide=True)]


def merge_spellings(splits: Sequence[DatasetSplit], classes: Sequence[str], findings: Findings) -> None:
    """Leave one finding per class and split about names in the labels that differ from it by case or blanks only."""
    files: dict[tuple[Split, object], list[str]] = {}
    for one in findings.kept(CLASS_SPELLING):
        files.setdefault((one.split, one.fields["nearest"]), []).append(one.file)
    findings.replace(
        CLASS_SPELLING,
        [
            spelled_otherwise(name, _spellings(split.totals, name), files[split.name, name], split=split.name)
            for split in splits
            for name in classes
            if (split.name, name) in files
        ],
    )


def _spellings(totals: Totals, name: str) -> list[tuple[str, int]]:
    """The names in the labels that differ from this one by case or blanks only, and itself; with numbers of boxes."""
    wanted = spelling(name)
    return [(found, count) for found, count in totals.seen.most_common() if spelling(found) == wanted]


def alike_classes(train: Totals, classes: Sequence[str]) -> list[Finding]:
    """A warning for classes whose names differ by case or blanks only."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(spelling(name), []).append(name)
    return [
        Finding(CLASSES_ALIKE, "", {"boxes": boxes_by_name((name, train.seen[name]) for name in group)}, wide=True)
        for group in groups.values()
        if len(group) > 1
    ]


def mirrored_classes(classes: Sequence[str]) -> list[Finding]:
    """What is known about classes that a flipped image would turn into each other."""
    found = [pair for axis in mirrored.AXES for pair in mirrored.pairs(classes, axis)]
    pairs = [f"{first!r} and {second!r}" for first, second in found]
    return [Finding(CLASSES_MIRRORED, "", {"names": pairs}, wide=True)] if pairs else []


def size_findings(split: DatasetSplit) -> list[Finding]:
    """Findings about boxes that are too small, and images that are much larger, for the network's input."""
    totals, seen_by = split.totals, split.totals.network_input
    scaled: Fields = {"side": seen_by.side, "network": seen_by.network}
    found = []
    if totals.too_small > MAX_TOO_SMALL * totals.objects:
        small: Fields = {"count": totals.too_small, "of": totals.objects, "leastSide": seen_by.least_side}
        found.append(Finding(BOXES_TOO_SMALL, "", {**small, **scaled}, split=split.name))
    if totals.larger:
        large: Fields = {"count": totals.larger, "of": totals.images, "times": MUCH_LARGER}
        found.append(Finding(IMAGES_MUCH_LARGER, "", {**large, **scaled}, split=split.name))
    return found


def allowed_bad_files(limit: str, files: int) -> int:
    """How many of `files` may be bad; `limit` is a count ("3") or a percentage ("1%")."""
    if limit.endswith("%"):
        return int(files * float(limit[:-1]) / 100)
    return int(limit)


def _nothing_listed(split: DatasetSplit, division: Division | None, findings: Findings) -> UserError | None:
    if split.listed:
        return None
    if division is not None and split.source.labels.pairing.images:
        return one_sided.not_drawn(split, division)
    if any(finding.kind in (IMAGE_FORMAT_NOT_READ, IMAGES_LEFT_OUT) for finding in split.findings):
        error = UserError(NO_READABLE_IMAGES[split.name], source=_source(split))
    else:
        change = Change(f"dataset.{split.name}.uri")
        error = UserError(NO_IMAGES[split.name], source=_source(split), change_uri=change)
    return error.with_examples(_top(findings))


def _labels_unused(
    splits: Sequence[DatasetSplit], division: Division | None, limit: str, findings: Findings
) -> UserError | None:
    """What is wrong if the labels of many images are not used: then names that are not found prove nothing."""
    if not any(finding.wide and finding.severity is Severity.ERROR for finding in findings.top(1)):
        return None
    empty = next((error for split in splits if (error := _nothing_left(split, division, findings))), None)
    return empty or _too_many_bad(splits, limit, findings)


def _class_not_found(
    train: Totals, evaluation: Totals, classes: Sequence[str], *, one_folder: bool
) -> UserError | None:
    missing = [name for name in classes if name not in train.seen and name not in evaluation.seen]
    if not missing or not train.seen:
        return None
    seen = train.seen + evaluation.seen if one_folder else train.seen
    others = [name for name in seen if name not in classes]
    tried = suggestion(classes, seen)
    return UserError(
        CLASS_NOT_FOUND if tried else CLASSES_NOT_FOUND_ANYWHERE,
        classes=first_of([_with_nearest(name, others) for name in missing[:TOP]] + missing[TOP:]),
        names=", ".join(f"{found!r} ({count})" for found, count in seen.most_common(TOP)),
        change=Change("dataset.classes", to=tried),
    )


def _with_nearest(name: str, seen: Iterable[str]) -> str:
    close = nearest(name, seen)
    return f"{name!r} (did you mean {close!r}?)" if close else repr(name)


def _nothing_left(split: DatasetSplit, division: Division | None, findings: Findings) -> UserError | None:
    if split.totals.objects:
        return None
    if division is not None and split.totals.images and not split.totals.seen:
        return one_sided.no_boxes_drawn(split, division)
    entries = NO_BOXES if split.totals.images else NO_USABLE_IMAGES
    error = UserError(entries[split.name], source=_source(split), images=counted(split.listed, "image"))
    return error.with_examples(_top(findings, split.name))


def _too_many_bad(splits: Sequence[DatasetSplit], limit: str, findings: Findings) -> UserError | None:
    bad = sum(split.totals.bad for split in splits)
    files = sum(split.listed for split in splits)
    allowed = allowed_bad_files(limit, files)
    if bad <= allowed:
        return None
    counts = {"bad": counted(bad, "bad file"), "files": counted(files, "image")}
    error = UserError(TOO_MANY_BAD_FILES, **counts, limit=limit, allowed=allowed)
    return error.with_examples(_top(findings))


def _class_lost(split: DatasetSplit, classes: Sequence[str], findings: Findings) -> UserError | None:
    totals = split.totals
    lost = [name for name in classes if totals.seen[name] and not totals.per_class[name]]
    if not lost:
        return None
    error = UserError(CLASS_LOST, source=_source(split), name=lost[0], count=totals.seen[lost[0]])
    return error.with_examples(_top(findings))


def _changed(findings: Findings) -> UserError | None:
    """Files changed while they were read: the records would not be those of the listing."""
    if not findings.counts[OBJECT_CHANGED.code]:
        return None
    error = UserError(DATA_CHANGED, files=counted(findings.counts[OBJECT_CHANGED.code], "file"))
    return error.with_examples(_top(findings))


def _source(split: DatasetSplit) -> Field:
    return Field(f"dataset.{split.name}")


def _top(findings: Findings, *splits: Split) -> list[_Example]:
    """The first three files, of these splits, with an error, or a warning where there is no error."""
    examples: dict[tuple[str, str], _Example] = {}
    for finding in findings.top(TOP_FILES * 100):
        if finding.severity is not Severity.INFO and finding.split in (splits or ("train", "eval")):
            examples.setdefault((finding.split, finding.file), _Example(finding))
    return list(examples.values())[:TOP_FILES]


@dataclass(frozen=True)
class _Example:
    """A finding that a message shows as an example."""

    finding: Finding

    def in_terms(self, terms: Terms) -> str:
        """Split, file, object, code and what was seen."""
        return f"{self.finding.split} {self.finding.line(terms)}"[:MAX_FINDING_TEXT]
