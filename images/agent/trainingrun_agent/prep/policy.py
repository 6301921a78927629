"""Which data is good enough to train on.

Invariant: a pure judgement over counts; the error names the class or the first files, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.check import CHANGED
from trainingrun_agent.prep.classes import nearest
from trainingrun_agent.prep.findings import Finding, Findings, Severity, warning
from trainingrun_agent.prep.split import SplitResult

TOP_FILES = 3
MAX_FINDING_TEXT = 200


def judge(
    train: SplitResult, evaluation: SplitResult, *, classes: Sequence[str], max_bad_files: str, findings: Findings
) -> UserError | None:
    """The gravest reason not to go on, or None."""
    splits = (train, evaluation)
    return (
        next((error for result in splits if (error := _nothing_listed(result))), None)
        or _class_not_found(train, classes)
        or next((error for result in splits if (error := _nothing_left(result, findings))), None)
        or _too_many_bad(splits, max_bad_files, findings)
        or next((error for result in splits if (error := _class_lost(result, classes, findings))), None)
        or _changed(findings)
    )


def unseen_classes(evaluation: SplitResult, classes: Sequence[str]) -> list[Finding]:
    """A warning for each class without a box in the eval split."""
    return [
        warning(
            "ClassWithoutEval",
            "",
            seen=f"no box of class {name!r} in the eval split",
            done="the class does not count in mAP",
            hint="Add labelled images with this class to dataset.eval.",
        ).of("eval")
        for name in classes
        if not evaluation.per_class[name]
    ]


def allowed_bad_files(limit: str, files: int) -> int:
    """How many of `files` may be bad; `limit` is a count ("3") or a percentage ("1%")."""
    if limit.endswith("%"):
        return int(files * float(limit[:-1]) / 100)
    return int(limit)


def _nothing_listed(result: SplitResult) -> UserError | None:
    if result.listed:
        return None
    return UserError(
        _empty_reason(result),
        f"dataset.{result.split}: no image file in it",
        hint=f"Upload images with their annotations, or correct spec.dataset.{result.split}.",
    )


def _class_not_found(train: SplitResult, classes: Sequence[str]) -> UserError | None:
    missing = [name for name in classes if name not in train.seen]
    if not missing or not train.seen:
        return None
    name = missing[0]
    close = nearest(name, train.seen)
    nearest_text = f"; the nearest name in the data is {close!r} ({train.seen[close]} objects)" if close else ""
    common = ", ".join(f"{found!r} ({count})" for found, count in train.seen.most_common(5))
    return UserError(
        "ClassNotFound",
        f"dataset.classes: no object of class {name!r} in dataset.train{nearest_text}; names there: {common}",
        hint="Write spec.dataset.classes exactly as in the annotations, or correct the annotations.",
    )


def _nothing_left(result: SplitResult, findings: Findings) -> UserError | None:
    if result.objects:
        return None
    what = f"none of its {result.listed} images can be used"
    if result.images:
        what = f"{result.images} images of {result.listed} can be used, but no box"
    return UserError(
        _empty_reason(result),
        f"dataset.{result.split}: {what}{_top(findings)}",
        hint="Correct the files the report names; each finding says how.",
    )


def _too_many_bad(splits: Sequence[SplitResult], limit: str, findings: Findings) -> UserError | None:
    bad = sum(len(result.bad) for result in splits)
    files = sum(result.listed for result in splits)
    allowed = allowed_bad_files(limit, files)
    if bad <= allowed:
        return None
    return UserError(
        "TooManyBadFiles",
        f"{bad} bad files in {files} images, dataset.maxBadFiles {limit} allows {allowed}{_top(findings)}",
        hint="Correct the files the report names, or raise spec.dataset.maxBadFiles to go on without them.",
    )


def _class_lost(result: SplitResult, classes: Sequence[str], findings: Findings) -> UserError | None:
    lost = [name for name in classes if result.seen[name] and not result.per_class[name]]
    if not lost:
        return None
    return UserError(
        "ClassLost",
        f"dataset.{result.split}: all {result.seen[lost[0]]} objects of class {lost[0]!r} are in bad files"
        f" or have no usable box{_top(findings)}",
        hint="Correct the files the report names; each finding says how.",
    )


def _changed(findings: Findings) -> UserError | None:
    """Records of files that changed under our hands must not stand for the listing."""
    if not findings.counts[CHANGED]:
        return None
    return UserError(
        "DataChanged",
        f"{findings.counts[CHANGED]} files changed while they were read{_top(findings)}",
        hint="Let the upload end, then raise spec.retry.",
    )


def _empty_reason(result: SplitResult) -> str:
    return "EmptyTrainSet" if result.split == "train" else "EmptyEvalSet"


def _top(findings: Findings) -> str:
    """The first three files with an error, or a warning where there is no error."""
    texts: dict[str, str] = {}
    for finding in findings.top(TOP_FILES * 100):
        if finding.severity is not Severity.INFO:
            texts.setdefault(finding.file, str(finding)[:MAX_FINDING_TEXT])
    return "".join(f"; {text}" for text in list(texts.values())[:TOP_FILES])
