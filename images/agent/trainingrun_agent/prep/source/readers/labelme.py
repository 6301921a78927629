"""Reader of LabelMe JSON: one file per image, boxes as two points in the order they were dragged.

Other tools write a file per image as well: X-AnyLabeling the same, Supervisely its own (supervisely.py).

Invariant: the embedded copy of the image is cut out before anything is decoded; shapes other than boxes give
the upright box around them.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from trainingrun_agent import bounded_json
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import PARTS_JOINED
from trainingrun_agent.prep.model.codes.label_files import (
    ANNOTATION_EMPTY,
    ANNOTATION_FORMAT,
    ANNOTATION_MALFORMED,
    ANNOTATION_TOO_LARGE,
)
from trainingrun_agent.prep.source.readers import supervisely
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
_PARTS = ("polygon", "mask")
_HULLS = ("rectangle", "oriented_rectangle", "rotation", "quadrilateral", "line", "linestrip", *_PARTS)


def read(data: bytes, context: Context) -> Annotation:  # noqa: ARG001 - names stand in the file
    """Parse one file. Raises UnusableError with the index of the object."""
    document = _document(_IMAGE_DATA.sub(rb"\1null", data))
    if supervisely.is_one(document):
        return supervisely.read(document)
    shapes = document.get("shapes")
    if not isinstance(shapes, list):
        raise UnusableError(ANNOTATION_FORMAT, case="noShapes")
    check_count(shapes)
    drawn = [(_part_of(shape), _object(shape, index)) for index, shape in enumerate(shapes)]
    objects = _joined(drawn)
    return Annotation(
        filename=clean(document.get("imagePath")),
        width=pixels(document.get("imageWidth")),
        height=pixels(document.get("imageHeight")),
        objects=objects,
        notes=((PARTS_JOINED, {"count": len(drawn) - len(objects)}),) if len(objects) < len(drawn) else (),
    )


def _part_of(shape: object) -> str:
    """The object that a shape is a part of, as LabelMe's exports take `group_id`; empty if it is one by itself.

    A box is an object by itself: whoever draws boxes uses groups for something else, such as a crowd or a video.
    """
    parts = shape if isinstance(shape, dict) else {}
    return clean(parts.get("group_id")) if clean(parts.get("shape_type")) in _PARTS else ""


def _joined(drawn: list[tuple[str, LabelledObject]]) -> tuple[LabelledObject, ...]:
    """The objects, those with the same group and class as one, in the place of the first."""
    made: dict[tuple[str, str] | int, LabelledObject] = {}
    for at, (group, item) in enumerate(drawn):
        key = (group, item.name) if group else at
        first = made.get(key)
        made[key] = item if first is None else _around(first, item)
    return tuple(made.values())


def _around(first: LabelledObject, second: LabelledObject) -> LabelledObject:
    corners = (item.corners for item in (first, second))
    xmins, ymins, xmaxs, ymaxs = zip(*corners, strict=True)
    return replace(first, xmin=min(xmins), ymin=min(ymins), xmax=max(xmaxs), ymax=max(ymaxs))


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
    alike = "shapes" in found.keys or "imageData" in found.keys
    return not found.array and (alike or supervisely.recognises(found))


FORMAT = FileFormat(
    "labelMe",
    ".json",
    MAX_BYTES,
    read,
    recognises,
    aside=lambda name: name in supervisely.ASIDE,
    folders=supervisely.FOLDERS,
)
