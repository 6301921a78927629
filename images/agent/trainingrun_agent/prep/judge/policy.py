"""Which data is good enough to train on.

Invariant: a pure judgement over counts; the error names the class or the first files, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainingrun_agent.config import SplitRule
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.class_names import nearest, suggestion
from trainingrun_agent.prep.model.findings import Finding, Findings, Severity, info, warning
from trainingrun_agent.prep.source.fetch import CHANGED
from trainingrun_agent.prep.split.sides import Side
from trainingrun_agent.prep.statistics.tally import MUCH_LARGER, Tally
from trainingrun_agent.reasons.dataset import (
    CLASS_LOST,
    CLASS_NOT_FOUND,
    DATA_CHANGED,
    NO_BOXES,
    NO_IMAGES,
    NO_IMAGES_DRAWN,
    NO_USABLE_IMAGES,
    TOO_MANY_BAD_FILES,
)
from trainingrun_agent.terms import Change, Field

TOP_FILES, TOP_CLASSES = 3, 5
MAX_FINDING_TEXT = 200
MAX_TOO_SMALL = 0.05
"""Share of the boxes from which they are worth a warning."""
MAX_IMBALANCE = 20
"""Times as many boxes as of a class that is found nevertheless; a rule of thumb."""


def judge(
    sides: Sequence[Side], *, rule: SplitRule | None, classes: Sequence[str], max_bad_files: str, findings: Findings
) -> UserError | None:
    """The gravest reason not to go on, or None."""
    train = next(side.tally for side in sides if side.split == "train")
    return (
        next((error for side in sides if (error := _nothing_listed(side, rule))), None)
        or _class_not_found(train, classes)
        or next((error for side in sides if (error := _nothing_left(side, findings))), None)
        or _too_many_bad(sides, max_bad_files, findings)
        or next((error for side in sides if (error := _class_lost(side, classes, findings))), None)
        or _changed(findings)
    )


def unseen_classes(evaluation: Tally, classes: Sequence[str], rule: SplitRule | None) -> list[Finding]:
    """A warning for each class without a box in the eval split."""
    drawn = "Label more images with this class, or create a new TrainingRun with another evalFraction or splitSeed."
    return [
        warning(
            "ClassWithoutEval",
            "",
            seen=f"no box of class {name!r} in the eval split",
            done="the class does not count in mAP",
            hint="Add labelled images with this class to dataset.eval." if rule is None else drawn,
        ).of("eval")
        for name in classes
        if not evaluation.per_class[name]
    ]


def imbalance(train: Tally, classes: Sequence[str]) -> list[Finding]:
    """A warning for each class with far fewer boxes than the most frequent one."""
    most = max(classes, key=lambda name: train.per_class[name], default="")
    return [
        warning(
            "ClassImbalance",
            "",
            seen=f"{train.per_class[name]} boxes of class {name!r}, {train.per_class[most]} of {most!r}",
            done="nothing: every box counts alike",
            hint="Add images with the rare class; it is learned last and worst.",
        )
        for name in classes
        if 0 < train.per_class[name] * MAX_IMBALANCE < train.per_class[most]
    ]


def size_findings(side: Side) -> list[Finding]:
    """What the network's input makes of a split's boxes and images."""
    tally, view = side.tally, side.tally.view
    found = []
    if tally.too_small > MAX_TOO_SMALL * tally.objects:
        found.append(
            warning(
                "BoxesTooSmall",
                "",
                seen=f"{tally.too_small} of {_count(tally.objects, 'box')} are shorter than {view.least_side} pixels at"
                f" the {view.side} pixels that {view.network} sees of an image",
                done="kept: they are trained on, and hardly learned",
                hint="Cut the images into tiles before labelling, or choose a network with a larger input.",
            )
        )
    if tally.larger:
        found.append(
            info(
                "ImagesMuchLarger",
                "",
                seen=f"{tally.larger} of {_count(tally.images, 'image')} are more than {MUCH_LARGER} times as large as"
                f" the {view.side} pixels that {view.network} sees of an image",
                done="scaled down to dataset.maxImageSide; the network scales the rest",
                hint="Nothing to do while objects stay large enough; uploads and preparation are faster with less.",
            )
        )
    return [finding.of(side.split) for finding in found]


def allowed_bad_files(limit: str, files: int) -> int:
    """How many of `files` may be bad; `limit` is a count ("3") or a percentage ("1%")."""
    if limit.endswith("%"):
        return int(files * float(limit[:-1]) / 100)
    return int(limit)


def _nothing_listed(side: Side, rule: SplitRule | None) -> UserError | None:
    if side.listed:
        return None
    if rule is not None and side.source.labels.pairing.images:
        images = _count(side.source.labels.pairing.images, "image")
        entry = NO_IMAGES_DRAWN[side.split]
        return UserError(entry, fraction=rule.fraction, split=side.split, images=images)
    change = Change(f"dataset.{side.split}.uri")
    return UserError(NO_IMAGES[side.split], source=_source(side), change_uri=change)


def _class_not_found(train: Tally, classes: Sequence[str]) -> UserError | None:
    missing = [name for name in classes if name not in train.seen]
    if not missing or not train.seen:
        return None
    names = [_with_nearest(name, train) for name in missing[:TOP_CLASSES]]
    more = f" and {len(missing) - TOP_CLASSES} more" if len(missing) > TOP_CLASSES else ""
    common = ", ".join(f"{found!r} ({count})" for found, count in train.seen.most_common(5))
    suggested = [nearest(name, train.seen) if name in missing else name for name in classes]
    return UserError(
        CLASS_NOT_FOUND,
        classes=f"{', '.join(names)}{more}",
        names=common,
        change=Change("dataset.classes", to=suggestion(suggested)),
    )


def _with_nearest(name: str, train: Tally) -> str:
    close = nearest(name, train.seen)
    return f"{name!r} (did you mean {close!r}?)" if close else repr(name)


def _nothing_left(side: Side, findings: Findings) -> UserError | None:
    if side.tally.objects:
        return None
    entries = NO_BOXES if side.tally.images else NO_USABLE_IMAGES
    error = UserError(entries[side.split], source=_source(side), images=_count(side.listed, "image"))
    return error.with_examples(_top(findings))


def _too_many_bad(sides: Sequence[Side], limit: str, findings: Findings) -> UserError | None:
    bad = sum(side.tally.bad for side in sides)
    files = sum(side.listed for side in sides)
    allowed = allowed_bad_files(limit, files)
    if bad <= allowed:
        return None
    counts = {"bad": _count(bad, "bad file"), "files": _count(files, "image")}
    error = UserError(TOO_MANY_BAD_FILES, **counts, limit=limit, allowed=allowed)
    return error.with_examples(_top(findings))


def _class_lost(side: Side, classes: Sequence[str], findings: Findings) -> UserError | None:
    tally = side.tally
    lost = [name for name in classes if tally.seen[name] and not tally.per_class[name]]
    if not lost:
        return None
    error = UserError(CLASS_LOST, source=_source(side), name=lost[0], count=tally.seen[lost[0]])
    return error.with_examples(_top(findings))


def _changed(findings: Findings) -> UserError | None:
    """Records of files that changed under our hands must not stand for the listing."""
    if not findings.counts[CHANGED]:
        return None
    error = UserError(DATA_CHANGED, files=_count(findings.counts[CHANGED], "file"))
    return error.with_examples(_top(findings))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('x') else 's'}"


def _source(side: Side) -> Field:
    return Field(f"dataset.{side.split}")


def _top(findings: Findings) -> list[str]:
    """The first three files with an error, or a warning where there is no error."""
    texts: dict[tuple[str, str], str] = {}
    for finding in findings.top(TOP_FILES * 100):
        if finding.severity is not Severity.INFO:
            texts.setdefault((finding.split, finding.file), f"{finding.split} {finding}"[:MAX_FINDING_TEXT])
    return list(texts.values())[:TOP_FILES]
