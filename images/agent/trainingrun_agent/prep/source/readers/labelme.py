"""Reader of LabelMe JSON: one file per image, boxes as two points in the order they were dragged.

Invariant: the embedded copy of the image is cut out before anything is decoded; shapes other than boxes give
the upright box around them.
"""

from __future__ import annotations

import math
import re
from typing import Any

from trainingrun_agent import bounded_json
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.label_files import (
    ANNOTATION_EMPTY,
    ANNOTATION_FORMAT,
    ANNOTATION_MALFORMED,
    ANNOTATION_TOO_LARGE,
)
from trainingrun_agent.prep.source.readers.base import Context, FileFormat
from trainingrun_agent.prep.source.readers.outline import outline
from trainingrun_agent.prep.source.readers.values import (
    boxed,
    check_count,
    clean,
    encoding_of,
    hull,
    label,
    not_a_box,
    pixels,
    points,
)

MAX_BYTES = 32 << 20
MAX_LABELS = 2 << 20
"""Bytes of the file without the embedded image."""
_IMAGE_DATA = re.compile(rb'("imageData"\s*:\s*)"[^"\\]*"')
_FLAGS = ("difficult", "truncated", "occluded")
_HULLS = ("rectangle", "polygon", "rotation", "quadrilateral", "mask", "line", "linestrip")


def read(data: bytes, context: Context) -> Annotation:  # noqa: ARG001 - names stand in the file
    """Parse one file. Raises UnusableError with the index of the object."""
    document = _document(_IMAGE_DATA.sub(rb"\1null", data))
    shapes = document.get("shapes")
    if not isinstance(shapes, list):
        raise UnusableError(ANNOTATION_FORMAT, case="noShapes")
    check_count(shapes)
    return Annotation(
        filename=clean(document.get("imagePath")),
        width=pixels(document.get("imageWidth")),
        height=pixels(document.get("imageHeight")),
        objects=tuple(_object(shape, index) for index, shape in enumerate(shapes)),
    )


def _document(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise UnusableError(ANNOTATION_EMPTY)
    if len(data) > MAX_LABELS:
        raise UnusableError(ANNOTATION_TOO_LARGE, case="labels", size=len(data), limit=MAX_LABELS)
    try:
        document = bounded_json.loads(data.decode(encoding_of(data)))
    except ValueError as error:
        raise UnusableError(ANNOTATION_MALFORMED, case="parser", syntax="JSON", problem=str(error)) from error
    return document if isinstance(document, dict) else {}


def _object(shape: object, index: int) -> LabelledObject:
    try:
        return _boxed(shape if isinstance(shape, dict) else {}, index)
    except UnusableError as problem:
        problem.index = index
        raise


def _boxed(shape: dict[str, Any], index: int) -> LabelledObject:
    name = label(shape.get("label"))
    listed = shape.get("points")
    corners = points(listed if isinstance(listed, list) else [], "shape")
    kind = clean(shape.get("shape_type")) or ("rectangle" if len(corners) == 2 else "polygon")
    set_flags = shape.get("flags")
    flags = {**(set_flags if isinstance(set_flags, dict) else {}), **shape}
    return boxed(
        name,
        _hull(kind, corners),
        index=index,
        shape="" if kind == "rectangle" else kind,
        **{flag: flags.get(flag) is True for flag in _FLAGS},
    )


def _hull(kind: str, corners: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    if kind == "circle" and len(corners) == 2:
        (x, y), edge = corners
        radius = math.dist((x, y), edge)
        return x - radius, y - radius, x + radius, y + radius
    if kind == "rectangle" and len(corners) == 2:
        return (*corners[0], *corners[1])  # in drag order: boxes.py swaps the corners and makes a finding
    if kind in _HULLS:
        return hull(corners, kind)
    raise not_a_box(kind, "noExtent")


def recognises(head: bytes) -> bool:
    """An object with shapes; the embedded image may come first and be longer than the beginning."""
    found = outline(head)
    return not found.array and ("shapes" in found.keys or "imageData" in found.keys)


FORMAT = FileFormat("labelMe", ".json", MAX_BYTES, read, recognises)
