"""Reader of VGG Image Annotator, versions 1 and 2: project or annotations as JSON, or annotations as CSV.

Invariant: the class is the one region attribute there is, or the one whose value is in spec.dataset.classes;
users name that attribute as they like. Regions other than rectangles give the upright box around them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

from trainingrun_agent import bounded_json
from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING
from trainingrun_agent.prep.model.codes.classes import CLASS_AMBIGUOUS
from trainingrun_agent.prep.model.codes.label_files import IMAGE_NAME_MISSING
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.json_stream import JSONStream
from trainingrun_agent.prep.source.readers.outline import outline
from trainingrun_agent.prep.source.readers.table import Table, header_has
from trainingrun_agent.prep.source.readers.values import (
    around_ellipse,
    boxed,
    clean,
    hull,
    not_a_box,
    number,
    points,
    text_of,
)

COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
PROJECT = "_via_img_metadata"
_USUAL = ("label", "class", "name", "type", "category", "object")
Corners = tuple[float, float, float, float]


def index(file: BinaryIO, entries: Entries, context: Context) -> None:
    """Read a file of any of the three kinds."""
    start = file.read(4096)
    file.seek(0)
    asked = frozenset(context.classes)
    if text_of(start).lstrip().startswith("{"):
        _json(file, entries, asked)
    else:
        _csv(file, entries, asked)


def _json(file: BinaryIO, entries: Entries, asked: Collection[str]) -> None:
    stream = JSONStream(file)
    for key in stream.members():
        if key == PROJECT and stream.peek() == "{":
            for name in stream.members():
                _image(entries, name, stream.value(), asked)
        elif not key.startswith("_via_"):
            _image(entries, key, stream.value(), asked)
    stream.end()


def _image(entries: Entries, key: str, value: Any, asked: Collection[str]) -> None:
    image = value if isinstance(value, dict) else {}
    name, ref = clean(image.get("filename")), clean(key)
    if not name or not ref:
        entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"entry {ref[:100]!r}"))
        return
    entries.image(ref, name)
    regions = image.get("regions")  # a dictionary in version 1, a list in version 2
    listed = list(regions.values()) if isinstance(regions, dict) else regions
    for place, region in enumerate(listed if isinstance(listed, list) else []):
        parts = region if isinstance(region, dict) else {}
        shape, attributes = parts.get("shape_attributes"), parts.get("region_attributes")
        entries.object(ref, f"{name} region {place}", _object, shape, attributes, asked)


def _csv(file: BinaryIO, entries: Entries, asked: Collection[str]) -> None:
    with Table(file, COLUMNS) as table:
        for line, cells in table:
            name = table.cell(cells, "filename")
            if not name:
                entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"line {line}"))
                continue
            entries.image(name, name)
            shape, attributes = (table.raw(cells, column) for column in COLUMNS[1:])
            if shape.strip() not in ("", "{}"):  # an image without regions has one line with an empty region
                entries.object(name, f"line {line}", _object_of_texts, shape, attributes, asked)


def _object_of_texts(shape: str, attributes: str, asked: Collection[str]) -> LabelledObject:
    try:
        return _object(bounded_json.loads(shape), bounded_json.loads(attributes or "{}"), asked)
    except ValueError as error:
        raise UnusableError(BOX_MISSING, case="json", problem=str(error)) from error


def _object(shape: object, attributes: object, asked: Collection[str]) -> LabelledObject:
    parts = shape if isinstance(shape, dict) else {}
    kind = clean(parts.get("name"))
    corners = _corners(kind, parts)
    name = _class(attributes if isinstance(attributes, dict) else {}, asked)
    return boxed(name, corners, shape="" if kind == "rect" else kind)


def _corners(kind: str, shape: Mapping[str, Any]) -> Corners:
    if kind == "rect":
        x, y, width, height = (number(shape.get(name), name) for name in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    if kind in ("circle", "ellipse"):
        names = ("r", "r") if kind == "circle" else ("rx", "ry")
        x, y, rx, ry = (number(shape.get(name), name) for name in ("cx", "cy", *names))
        return around_ellipse((x, y), (rx, ry), math.degrees(number(shape.get("theta") or 0, "theta")))
    if kind in ("polygon", "polyline"):
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys):
            return hull(points(zip(xs, ys, strict=True), kind), kind)
        raise not_a_box(kind, "lengths")
    raise not_a_box(kind or "region", "noExtent")


def _class(region: Mapping[str, Any], asked: Collection[str]) -> str:
    """The value that is the class, empty if there is none. Raises UnusableError."""
    values = {clean(key): name for key, value in region.items() if (name := _value(value))}
    known = {name for name in values.values() if name in asked}
    if len(values) <= 1 or len(known) == 1:
        return next(iter(known or values.values()), "")
    usual = [values[key] for key in values if key.casefold() in _USUAL]
    if len(usual) == 1 and not known:
        return usual[0]
    attributes = [f"{key}={value}"[:60] for key, value in values.items()]
    raise UnusableError(CLASS_AMBIGUOUS, case="attributes", attributes=attributes)


def _value(value: object) -> str:
    """Text of an input, a list or radio button; the one option ticked of checkboxes."""
    if isinstance(value, dict):
        ticked = [clean(option) for option, on in value.items() if on is True or on == "true"]
        return ticked[0] if len(ticked) == 1 else ""
    return clean(value)


def recognises(head: bytes) -> bool:
    """A project, a dictionary of images with regions, or a CSV with VIA's columns."""
    if header_has(head, COLUMNS):
        return True
    found = outline(head)
    entry = next((found.inner[key] for key in found.keys if not key.startswith("_via_")), set())
    return not found.array and (any(key.startswith("_via_") for key in found.keys) or {"filename", "regions"} <= entry)


FORMAT = SetFormat("via", (".json", ".csv"), index, recognises, sized=False)
