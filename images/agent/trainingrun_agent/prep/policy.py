"""Which data is good enough to train on.

Invariant: a pure judgement over counts; the error names the class or the first files, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.classes import nearest
from trainingrun_agent.prep.fetch import CHANGED
from trainingrun_agent.prep.findings import Finding, Findings, Severity, warning
from trainingrun_agent.prep.split import SplitResult

TOP_FILES, TOP_CLASSES = 3, 5
MAX_FINDING_TEXT = 200
_CORRECT = "Correct the files the report names; each finding says how."


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
        f"spec.dataset.{result.split}: no image file in it",
        hint=f"Upload images and their annotations, or create a new TrainingRun with the right dataset.{result.split}.",
    )


def _class_not_found(train: SplitResult, classes: Sequence[str]) -> UserError | None:
    missing = [name for name in classes if name not in train.seen]
    if not missing or not train.seen:
        return None
    names = [_with_nearest(name, train) for name in missing[:TOP_CLASSES]]
    more = f" and {len(missing) - TOP_CLASSES} more" if len(missing) > TOP_CLASSES else ""
    common = ", ".join(f"{found!r} ({count})" for found, count in train.seen.most_common(5))
    return UserError(
        "ClassNotFound",
        f"spec.dataset.classes: no object of class {', '.join(names)}{more} in dataset.train; names there: {common}",
        hint="Create a new TrainingRun with the names as they are in the annotations (case counts), or correct those.",
    )


def _with_nearest(name: str, train: SplitResult) -> str:
    close = nearest(name, train.seen)
    return f"{name!r} (did you mean {close!r}?)" if close else repr(name)


def _nothing_left(result: SplitResult, findings: Findings) -> UserError | None:
    if result.objects:
        return None
    what, hint = f"none of its {_count(result.listed, 'image')} can be used", _CORRECT
    if result.images:
        what = f"no usable box in its {_count(result.listed, 'image')}"
        hint = "Draw boxes of the classes in spec.dataset.classes, or correct the files the report names."
    return UserError(_empty_reason(result), f"spec.dataset.{result.split}: {what}{_top(findings)}", hint=hint)


def _too_many_bad(splits: Sequence[SplitResult], limit: str, findings: Findings) -> UserError | None:
    bad = sum(len(result.bad) for result in splits)
    files = sum(result.listed for result in splits)
    allowed = allowed_bad_files(limit, files)
    if bad <= allowed:
        return None
    return UserError(
        "TooManyBadFiles",
        f"{_count(bad, 'bad file')} among {_count(files, 'image')} (spec.dataset.maxBadFiles {limit} allows {allowed})"
        f"{_top(findings)}",
        hint="Correct the files the report names, or create a new TrainingRun with a higher dataset.maxBadFiles.",
    )


def _class_lost(result: SplitResult, classes: Sequence[str], findings: Findings) -> UserError | None:
    lost = [name for name in classes if result.seen[name] and not result.per_class[name]]
    if not lost:
        return None
    return UserError(
        "ClassLost",
        f"spec.dataset.{result.split}: no object of class {lost[0]!r} is left, {result.seen[lost[0]]} of them in bad "
        f"files or without a usable box{_top(findings)}",
        hint=_CORRECT,
    )


def _changed(findings: Findings) -> UserError | None:
    """Records of files that changed under our hands must not stand for the listing."""
    if not findings.counts[CHANGED]:
        return None
    return UserError(
        "DataChanged",
        f"{_count(findings.counts[CHANGED], 'file')} changed while being read{_top(findings)}",
        hint="Let the upload end, then raise spec.retry.",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _empty_reason(result: SplitResult) -> str:
    return "EmptyTrainSet" if result.split == "train" else "EmptyEvalSet"


def _top(findings: Findings) -> str:
    """The first three files with an error, or a warning where there is no error."""
    texts: dict[tuple[str, str], str] = {}
    for finding in findings.top(TOP_FILES * 100):
        if finding.severity is not Severity.INFO:
            texts.setdefault((finding.split, finding.file), f"{finding.split} {finding}"[:MAX_FINDING_TEXT])
    named = "; ".join(list(texts.values())[:TOP_FILES])
    return f": {named}" if named else ""
