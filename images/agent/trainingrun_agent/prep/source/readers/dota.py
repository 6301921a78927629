"""Reader of DOTA's text: a line `x1 y1 x2 y2 x3 y3 x4 y4 class difficult` per turned box, in pixels.

It has YOLO's suffix, one file per image and no header that all files have, so it is read as a kind of YOLO.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_COLUMNS
from trainingrun_agent.prep.source.readers.values import boxed, hull, label, number

FOLDER = "labeltxt"
"""The folder of labels beside `images`, in lower case."""
_ABOUT = ("imagesource:", "gsd:")
_NUMBERS = 8


def recognises(lines: Sequence[str]) -> bool:
    """Whether the first object is eight numbers and a name."""
    first = next(iter(_objects(lines[:4])), "")
    words = first.split()
    return (
        _NUMBERS < len(words) <= _NUMBERS + 2
        and all(map(_is_number, words[:_NUMBERS]))
        and not _is_number(words[_NUMBERS])
    )


def read(lines: Sequence[str]) -> Annotation:
    """Parse the lines of a file. Raises UnusableError with the index of the object."""
    objects = tuple(_object(line.split(), index) for index, line in enumerate(_objects(lines)))
    return Annotation("", 0, 0, objects, sized=False)


def _objects(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not line.strip().casefold().startswith(_ABOUT)]


def _object(words: list[str], index: int) -> LabelledObject:
    if not _NUMBERS < len(words) <= _NUMBERS + 2:
        raise UnusableError(BOX_COLUMNS, count=len(words) - 1, index=index)
    try:
        values = [number(word, f"number {at}") for at, word in enumerate(words[:_NUMBERS], start=1)]
        corners = hull(list(zip(values[::2], values[1::2], strict=True)), "turned box")
        difficult = words[-1] == "1" and len(words) > _NUMBERS + 1
        return boxed(label(words[_NUMBERS]), corners, index=index, difficult=difficult, shape="turned box")
    except UnusableError as problem:
        problem.index = index
        raise


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False
