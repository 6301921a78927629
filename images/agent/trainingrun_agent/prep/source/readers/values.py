"""Parse values of label files: numbers, names, points.

Invariant: any value of any type gives a finite float, a printable string or UnusableError.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Sized

from trainingrun_agent.prep.model.annotation import MAX_OBJECTS, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING, BOX_NOT_A_NUMBER, BOX_NOT_FINITE
from trainingrun_agent.prep.model.codes.classes import CLASS_MISSING, TOO_MANY_OBJECTS
from trainingrun_agent.prep.model.codes.kind import Value

MAX_SIDE = 10**6
MAX_NAME = 1024
Corners = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax."""
_BLANKS = "\ufeff \t\r\n\u00a0"


def check_count(objects: Sized) -> None:
    """Raise UnusableError for more objects than an image can have."""
    if len(objects) > MAX_OBJECTS:
        raise UnusableError(TOO_MANY_OBJECTS, limit=MAX_OBJECTS)


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its byte order mark; UTF-8 without one."""
    utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if utf16 else "utf-8-sig"


def text_of(head: bytes) -> str:
    """Decode the beginning of a text; bytes that cannot be decoded are replaced."""
    return head.decode(encoding_of(head), "replace")


def clean(value: object) -> str:
    """A name without blanks around it that can be encoded: JSON may have halves of characters."""
    if not isinstance(value, str):
        value = _digits(value)
    text = value.strip(_BLANKS)[:MAX_NAME]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _digits(value: object) -> str:
    """A whole number as text, also when a data frame wrote it as 7.0; empty for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:d}" if isinstance(value, int) and not isinstance(value, bool) else ""


def label(value: object) -> str:
    """The class of an object. Raises UnusableError when there is none."""
    name = clean(value)
    if not name:
        raise UnusableError(CLASS_MISSING)
    return name


def number(value: object, what: str) -> float:
    """A coordinate; `what` is its name in the file. Raises UnusableError."""
    try:
        found = _float(value)
    except (ValueError, OverflowError):
        raise UnusableError(BOX_NOT_A_NUMBER, what=what, found=_shown(value)) from None
    if not math.isfinite(found):
        raise UnusableError(BOX_NOT_FINITE, case="number", what=what, found=str(found))
    return found


def _float(value: object) -> float:
    if isinstance(value, str):
        return float(value.strip(_BLANKS))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError


def pixels(value: object) -> int:
    """A side of the image in pixels; 0 if absent or not sensible, so that the size of the decoded image is used."""
    try:
        side = number(value, "")
    except UnusableError:
        return 0
    return int(side) if 0 < side < MAX_SIDE else 0


def points(values: Iterable[object], what: str) -> list[tuple[float, float]]:
    """Points as [x, y] pairs. Raises UnusableError."""
    found = []
    for pair in values:
        if not isinstance(pair, list | tuple) or len(pair) < 2:
            raise not_a_box(what, "point", found=_shown(pair))
        found.append((number(pair[0], f"x of {what}"), number(pair[1], f"y of {what}")))
    return found


def hull(corners: list[tuple[float, float]], what: str) -> Corners:
    """The upright box around points: xmin, ymin, xmax, ymax. Raises UnusableError for fewer than two."""
    if len(corners) < 2:
        raise not_a_box(what, "points", count=len(corners))
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def turned(box: Corners, degrees: float, pivot: tuple[float, float]) -> list[tuple[float, float]]:
    """The corners of a box turned clockwise about a point."""
    xmin, ymin, xmax, ymax = box
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    around = [(x - pivot[0], y - pivot[1]) for x, y in ((xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax))]
    return [(pivot[0] + x * cos - y * sin, pivot[1] + x * sin + y * cos) for x, y in around]


def around_turned(box: Corners, degrees: float) -> Corners:
    """The upright box around a box that is turned about its centre."""
    return hull(turned(box, degrees, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)), "turned box")


def around_ellipse(centre: tuple[float, float], radii: tuple[float, float], degrees: float) -> Corners:
    """The upright box around a turned ellipse; the box around its turned box would be larger."""
    (x, y), (rx, ry) = centre, radii
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, down = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
    return x - across, y - down, x + across, y + down


def not_a_box(shape: str, case: str, **fields: Value) -> UnusableError:
    """The error for a shape without extent; `case` is one of BOX_MISSING."""
    return UnusableError(BOX_MISSING, index=None, case=case, shape=shape[:60], **fields)


def _shown(value: object) -> str:
    return repr(value)[:60] if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"


def boxed(
    name: str,
    corners: Corners,
    *,
    index: int = 0,
    difficult: bool = False,
    truncated: bool = False,
    occluded: bool = False,
    crowd: bool = False,
    shape: str = "",
) -> LabelledObject:
    """An object from its corners xmin, ymin, xmax, ymax. Raises UnusableError if a sum is not finite."""
    if not all(map(math.isfinite, corners)):
        found = ", ".join(map(str, corners))
        raise UnusableError(BOX_NOT_FINITE, case="corners", found=found, index=index)
    return LabelledObject(
        index,
        name,
        *corners,
        difficult=difficult,
        truncated=truncated,
        occluded=occluded,
        crowd=crowd,
        shape=shape,
    )
