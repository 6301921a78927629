"""Reader of YOLO text: a line `class cx cy width height` per box, as parts of the image's size.

Invariant: class ids count from 0; their names are those of the list that the context has. An empty file is an image
without objects.
"""

from __future__ import annotations

import re

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_COLUMNS
from trainingrun_agent.prep.model.codes.classes import CLASS_ID_INVALID, UNKNOWN_CLASS
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_MALFORMED
from trainingrun_agent.prep.source.readers.base import Context, FileFormat
from trainingrun_agent.prep.source.readers.class_files import lists_classes
from trainingrun_agent.prep.source.readers.values import boxed, check_count, encoding_of, hull, number, text_of

MAX_BYTES = 4 << 20
_ASIDE = ("train.txt", "val.txt", "valid.txt", "test.txt")
# A number is matched in one way only: with two, a line of thirty numbers and a letter would take hours.
_LINE = re.compile(r"\d+(\s+-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?){4,}")


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
    objects = tuple(_object(line.split(), index, context) for index, line in enumerate(lines))
    return Annotation("", 0, 0, objects, relative=True, sized=False)


def _object(words: list[str], index: int, context: Context) -> LabelledObject:
    try:
        name = _name(words[0], context)
        values = [number(word, f"number {at}") for at, word in enumerate(words[1:], start=1)]
        if len(values) == 4:
            x, y, width, height = values
            return boxed(name, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), index=index)
        if len(values) >= 6 and len(values) % 2 == 0:
            corners = list(zip(values[::2], values[1::2], strict=True))
            return boxed(name, hull(corners, "polygon"), index=index, shape="polygon")
    except UnusableError as problem:
        problem.index = index
        raise
    raise UnusableError(BOX_COLUMNS, count=len(values), index=index)


def _name(word: str, context: Context) -> str:
    if not re.fullmatch(r"\d{1,6}", word, re.ASCII):
        raise UnusableError(CLASS_ID_INVALID, found=word[:60])
    ids = context.ids
    name = ids[int(word)] if int(word) < len(ids) else ""
    if not name:
        case = "listed" if context.ids_from else "id"
        raise UnusableError(UNKNOWN_CLASS, case=case, id=word, count=len(ids), last=len(ids) - 1, list=context.ids_from)
    return name


def recognises(head: bytes) -> bool:
    """Whether the first line is a box; an empty file is not recognised."""
    first = next((line for line in text_of(head).splitlines() if line.strip()), "")
    return bool(_LINE.fullmatch(first.strip()))


FORMAT = FileFormat(
    "yolo",
    ".txt",
    MAX_BYTES,
    read,
    recognises,
    aside=lambda name: name in _ASIDE or name.startswith("readme") or lists_classes(name),
    numbered=True,
    empty_is_negative=True,
    folders=("images", "labels"),
)
