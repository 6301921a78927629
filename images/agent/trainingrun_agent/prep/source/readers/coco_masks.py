"""The upright box around a COCO `segmentation`: polygons, or a mask as runs of pixels, compressed or not.

Invariant: a mask is never unpacked into pixels: time and memory are those of its runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING
from trainingrun_agent.prep.source.readers.values import Corners, hull, not_a_box, number, pixels

_MAX_DIGITS = 13  # of five bits: more than any count of pixels


def shape_of(segmentation: object) -> str:
    """What was drawn; empty if there is nothing to make a box of."""
    if isinstance(segmentation, list) and segmentation:
        return "polygon"
    return "mask" if isinstance(segmentation, dict) else ""


def has_no_box(box: object) -> bool:
    """Whether an annotation's bbox says nothing: absent, empty, or all zero."""
    return box in (None, [], [0, 0, 0, 0])


def box_around(segmentation: object) -> Corners:
    """The corners in pixels. Raises UnusableError."""
    if isinstance(segmentation, dict):
        return _mask(segmentation)
    return hull(list(chain.from_iterable(map(_points, _parts(segmentation)))), "polygon")


def _parts(segmentation: object) -> Sequence[object]:
    """The polygons of an object in several parts; tools also write the numbers of a single one, or its points."""
    parts = segmentation if isinstance(segmentation, list) else []
    return parts if any(isinstance(part, list) for part in parts) else [parts]


def _points(part: object) -> list[tuple[float, float]]:
    if not isinstance(part, list) or len(part) % 2:
        raise not_a_box("polygon", "lengths")
    values = [number(value, "a corner of the polygon") for value in part]
    return list(zip(values[::2], values[1::2], strict=True))


def _mask(mask: dict[str, object]) -> Corners:
    size = mask.get("size")
    height, width = map(pixels, size) if isinstance(size, list) and len(size) == 2 else (0, 0)
    counts = mask.get("counts")
    runs = _unpacked(counts) if isinstance(counts, str) else iter(counts if isinstance(counts, list) else ())
    if not height or not width:
        raise UnusableError(BOX_MISSING, case="mask")
    return _around(runs, width, height)


def _around(runs: Iterator[object], width: int, height: int) -> Corners:
    """The box around the runs of pixels, column by column, that belong to the object: every second run."""
    left, top, right, bottom = width, height, 0, 0
    at, inside = 0, False
    for run in runs:
        if not isinstance(run, int) or not 0 <= run <= width * height - at:
            raise UnusableError(BOX_MISSING, case="mask")
        if inside and run:
            (first, upper), (last, lower) = divmod(at, height), divmod(at + run - 1, height)
            left, right = min(left, first), max(right, last + 1)
            top, bottom = (min(top, upper), max(bottom, lower + 1)) if first == last else (0, height)
        at, inside = at + run, not inside
    if not right:
        raise UnusableError(BOX_MISSING, case="maskEmpty")
    return left, top, right, bottom


def _unpacked(text: str) -> Iterator[int]:
    """The runs of a compressed mask: differences to the run before the last, in digits of five bits."""
    before = [0, 0]
    value = digits = number_of = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or digits == _MAX_DIGITS:
            raise UnusableError(BOX_MISSING, case="mask")
        value |= (code & 31) << 5 * digits
        digits += 1
        if not code & 32:
            value -= (code & 16) << 5 * (digits - 1) + 1  # the highest bit is the sign
            value += before[0] if number_of > 2 else 0
            yield value
            before = [before[1], value]
            value, digits, number_of = 0, 0, number_of + 1
