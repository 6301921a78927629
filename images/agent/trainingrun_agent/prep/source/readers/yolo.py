"""Reader of YOLO text: a line `class cx cy width height` per box, as parts of the image's size.

Lines with more numbers are polygons, turned boxes, or boxes with keypoints or a confidence (yolo_columns.py).

Invariant: class ids count from 0; their names are those of the list that the context has. An empty file is an image
without objects.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import (
    BOX_COLUMNS,
    COLUMNS_UNCLEAR,
    KEYPOINTS_IGNORED,
    LABELS_PREDICTED,
    TRACKING_IGNORED,
)
from trainingrun_agent.prep.model.codes.classes import CLASS_ID_INVALID, UNKNOWN_CLASS
from trainingrun_agent.prep.model.codes.kind import FindingKind
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_MALFORMED
from trainingrun_agent.prep.source.readers import dota
from trainingrun_agent.prep.source.readers.base import Context, FileFormat
from trainingrun_agent.prep.source.readers.class_files import lists_classes
from trainingrun_agent.prep.source.readers.values import boxed, check_count, encoding_of, hull, number, text_of
from trainingrun_agent.prep.source.readers.yolo_columns import (
    KEYPOINTS,
    POLYGONS,
    SCORED,
    TRACKED,
    TURNED,
    UNCLEAR,
    Columns,
    is_id,
    meaning_of,
    visibilities,
)
from trainingrun_agent.prep.source.split_names import is_split_list

MAX_BYTES = 4 << 20
MAX_SHARE = 2
"""A larger number is one of pixels, as in annotation._scaled."""
_BOX = 4
# A number is matched in one way only: with two, a line of thirty numbers and a letter would take hours.
_ID = re.compile(r"\d{1,6}(?:\.\d{0,20}(?:[eE][-+]?\d{1,2})?)?", re.ASCII)
_LINE = re.compile(rf"{_ID.pattern}(\s+-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?){{4,}}")


def read(data: bytes, context: Context) -> Annotation:
    """Parse one file. Raises UnusableError with the index of the object."""
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        raise UnusableError(
            ANNOTATION_MALFORMED, case="encoding", encoding=error.encoding, problem=error.reason
        ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    check_count(lines)
    if dota.recognises(lines):
        return dota.read(lines)
    rows = [_row(line.split(), index, context) for index, line in enumerate(lines)]
    meaning = _meaning([values for _, values in rows], context)
    seen = Counter[FindingKind]()
    objects = tuple(_object(name, values, index, meaning, context, seen) for index, (name, values) in enumerate(rows))
    notes = tuple((kind, {"count": count}) for kind, count in seen.items())
    return Annotation("", 0, 0, objects, relative=True, sized=False, notes=notes)


def _row(words: list[str], index: int, context: Context) -> tuple[str, list[float]]:
    """The class of a line, and its numbers."""
    try:
        return _name(words[0], context), _values(words[1:])
    except UnusableError as problem:
        problem.index = index
        raise


def _values(words: list[str]) -> list[float]:
    with suppress(ValueError):
        values = list(map(float, words))
        if math.isfinite(sum(values)):
            return values
    return [number(word, f"number {at}") for at, word in enumerate(words, start=1)]


def _meaning(rows: list[list[float]], context: Context) -> str:
    """What the lines of a file mean, all the same."""
    if all(len(values) <= _BOX for values in rows):
        return POLYGONS
    if context.keypoints is not None:
        return KEYPOINTS if context.keypoints[0] else POLYGONS
    own = Columns()
    for values in rows:
        own.add(values)
    if own.meaning == KEYPOINTS or not context.columns:
        return own.meaning
    return UNCLEAR if context.columns == POLYGONS and own.no_polygons else context.columns


def _object(
    name: str, values: list[float], index: int, meaning: str, context: Context, seen: Counter[FindingKind]
) -> LabelledObject:
    """The object of a line; what a finding has to report is counted in `seen`."""
    try:
        shape, corners, beside = _shape(values, meaning, context)
        if beside is not None:
            seen[beside] += 1
        return boxed(name, corners, index=index, shape=shape)
    except UnusableError as problem:
        problem.index = index
        raise


def _shape(
    values: list[float], meaning: str, context: Context
) -> tuple[str, tuple[float, float, float, float], FindingKind | None]:
    """What was drawn, the upright box around it, and the finding about numbers beside it. Raises UnusableError."""
    count = len(values)
    if count < _BOX:
        raise UnusableError(BOX_COLUMNS, count=count)
    if count == _BOX:
        return "", _box(values), None
    if count == _BOX + 1:
        return "", _box(values), _beside(values[_BOX])
    if meaning == KEYPOINTS:
        if context.keypoints is not None and count != (wanted := _BOX + context.keypoints[0] * context.keypoints[1]):
            raise UnusableError(COLUMNS_UNCLEAR, case="kptShape", count=count, of=wanted)
        if context.keypoints is not None or visibilities(values) is not None:
            return "", _box(values), KEYPOINTS_IGNORED
    if meaning == TRACKED and count == _BOX + 2:
        return "", _box(values), LABELS_PREDICTED
    if meaning == TURNED and count in (8, 9, 10):
        return "turned box", _hull(values[:8]), None if count == 8 else LABELS_PREDICTED
    if meaning == SCORED and count % 2:
        return "polygon", _hull(values[:-1]), LABELS_PREDICTED
    if meaning == POLYGONS and count % 2 == 0:
        return "polygon", _hull(values), None
    raise UnusableError(COLUMNS_UNCLEAR, case="odd" if count % 2 else "even", count=count)


def _box(values: list[float]) -> tuple[float, float, float, float]:
    x, y, width, height = values[:_BOX]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _hull(values: list[float]) -> tuple[float, float, float, float]:
    return hull(list(zip(values[::2], values[1::2], strict=True)), "polygon")


def _beside(value: float) -> FindingKind:
    """The finding about one number after a box: a tracking id, or a confidence. Raises UnusableError."""
    if 0 < value < 1:
        return LABELS_PREDICTED
    if is_id(value):
        return TRACKING_IGNORED
    raise UnusableError(COLUMNS_UNCLEAR, case="fifth", found=value)


def survey(files: Iterable[bytes]) -> str:
    """What the lines of a data set mean, from the beginnings of some of its files."""
    return meaning_of(values for data in files for line in text_of(data).splitlines() if (values := _numbers(line)))


def _numbers(line: str) -> list[float]:
    """The numbers after the class; none if the line is not one of numbers."""
    try:
        return [number(word, "") for word in line.split()[1:]]
    except UnusableError:
        return []


def _name(word: str, context: Context) -> str:
    ids, at = context.ids, _id(word)
    if at is None:
        raise UnusableError(CLASS_ID_INVALID, found=word[:60])
    name = ids[at] if at < len(ids) else ""
    if not name:
        case = "listed" if context.ids_from else "id"
        raise UnusableError(
            UNKNOWN_CLASS, case=case, id=str(at), count=len(ids), last=len(ids) - 1, list=context.ids_from
        )
    return name


def _id(word: str) -> int | None:
    """A class id, also as programs write it that keep it beside floating-point numbers: 1.0, 1.000e+00."""
    if not _ID.fullmatch(word):
        return None
    value = float(word)
    return int(value) if value.is_integer() else None


def recognises(head: bytes) -> bool:
    """Whether the first line is a box or polygon in parts of the image's size, or DOTA's; not for an empty file."""
    lines = [line.strip() for line in text_of(head).splitlines() if line.strip()]
    return bool(lines) and (_in_shares(lines[0]) or dota.recognises(lines))


def _in_shares(line: str) -> bool:
    words = line.split()
    return (
        bool(_LINE.fullmatch(line))
        and _id(words[0]) is not None
        and max(abs(float(word)) for word in words[1:5]) <= MAX_SHARE
    )


FORMAT = FileFormat(
    "yolo",
    ".txt",
    MAX_BYTES,
    read,
    recognises,
    aside=lambda name: is_split_list(name) or name.startswith("readme") or lists_classes(name),
    numbered=True,
    empty_is_negative=True,
    folders=("images", "labels", dota.FOLDER),
    survey=survey,
)
