"""Reader of Label Studio JSON, full and JSON-MIN: boxes in percent of the image, rotated about their corner.

Invariant: of several annotations of a task one is used: the ground truth, else the last that was not cancelled;
a task without any is an image that nobody labelled. Predictions are never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.classes import CLASS_AMBIGUOUS
from trainingrun_agent.prep.model.codes.label_files import ENTRIES_CONTRADICT, IMAGE_NAME_MISSING, IMAGE_TURNED
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.json_stream import JSONStream
from trainingrun_agent.prep.source.readers.outline import outline
from trainingrun_agent.prep.source.readers.values import (
    Corners,
    around_ellipse,
    boxed,
    clean,
    hull,
    not_a_box,
    number,
    pixels,
    points,
    turned,
)

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
_BOXES, _POLYGONS, _ELLIPSES = "rectangle", "polygon", "ellipse"
_NO_EXTENT = ("keypoint", "brush", "bitmask", "vector")


def index(file: BinaryIO, entries: Entries, context: Context) -> None:  # noqa: ARG001 - names stand in the file
    """Read a label file into the index."""
    stream = JSONStream(file)
    for place, element in enumerate(stream.elements()):
        task = element if isinstance(element, dict) else {}
        results = _results(task)
        on = sorted({tag for part in results or () if _kind(part) and (tag := clean(part.get("to_name")))})
        name = _name(task, on)
        if not name:
            entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"task [{place}]"))
            continue
        if results is None:
            continue
        width, height = next(_sizes(results), (0, 0))
        ref = f"{place}"
        entries.image(ref, name, alias=_UPLOADED.sub("", name, count=1), width=width, height=height)
        named = {clean(part.get("id")): part for part in results if clean(part.get("type")) == "labels"}
        for at, part in enumerate(results):
            if _kind(part):
                entries.object(ref, f"task [{place}] result [{at}]", _object, part, named, on)
    stream.end()


def _name(task: dict[str, Any], on: Sequence[str]) -> str:
    """The image's file name: the uploaded file, else the last part of the data's address.

    `on` are the names of the images that regions were drawn on: usually those of their addresses in the data.
    """
    data = task.get("data", task)
    values = [clean(value) for value in data.values()] if isinstance(data, dict) else []
    addresses = (clean(data.get(key)) for key in (*on, "image")) if isinstance(data, dict) else ()
    address = next(filter(None, addresses), "")
    address = address or next((value for value in values if re.search(r"\.\w{3,4}$", value) and "/" in value), "")
    address = address or clean(task.get("file_upload"))
    try:
        parts = urlsplit(address)
        local = parse_qs(parts.query).get("d", [""])[0]
        return clean(local or unquote(parts.path))
    except ValueError:
        return address


def _results(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The results of a task; None if it was not labelled."""
    for key in ("annotations", "completions"):
        listed = task.get(key)
        if isinstance(listed, list):
            made = [one for one in listed if isinstance(one, dict) and not one.get("was_cancelled")]
            chosen = next((one for one in made if one.get("ground_truth") is True), made[-1] if made else None)
            return None if chosen is None else _dicts(chosen.get("result"))
    if "data" in task:
        return None
    return [part for value in task.values() if isinstance(value, list) for part in _dicts(value)]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _sizes(results: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    for part in results:
        size = pixels(part.get("original_width")), pixels(part.get("original_height"))
        if all(size):
            yield size


def _kind(part: dict[str, Any]) -> str:
    """The shape of a result: `rectanglelabels` and `rectangle` are boxes; empty if it has none."""
    value = part.get("value")
    keys = value if isinstance(value, dict) and part.get("type") is not None else part
    named = clean(part.get("type")) or next((key for key in keys if key.endswith("labels")), "")
    kind = named.removesuffix("labels").casefold()
    return kind if kind in (_BOXES, _POLYGONS, _ELLIPSES, *_NO_EXTENT) else ""


def _object(part: dict[str, Any], named: dict[str, dict[str, Any]], on: Sequence[str]) -> LabelledObject:
    kind, inner = _kind(part), part.get("value")
    value = inner if isinstance(inner, dict) else part
    if len(on) > 1:
        raise UnusableError(ENTRIES_CONTRADICT, case="images", first=on[0], second=on[1])
    if kind in _NO_EXTENT:
        raise not_a_box(kind, "noExtent")
    if (view := number(part.get("image_rotation") or 0, "image_rotation")) % 360:
        raise UnusableError(IMAGE_TURNED, degrees=view)
    size = pixels(part.get("original_width")), pixels(part.get("original_height"))
    side = size[0] or 1, size[1] or 1
    corners = [(x / 100 * side[0], y / 100 * side[1]) for x, y in _drawn(kind, value)]
    degrees = number(value.get("rotation") or 0, "rotation")
    if kind != _POLYGONS and degrees % 360:
        if 0 in size:
            raise not_a_box(kind, "noSize")
        corners = _turned(kind, hull(corners, kind), corners[0], degrees)
    xmin, ymin, xmax, ymax = hull(corners, kind)
    name = _label(value, named.get(clean(part.get("id")), {}))
    shape = kind if kind != _BOXES else "turned box" if degrees % 360 else ""
    return boxed(name, (xmin / side[0], ymin / side[1], xmax / side[0], ymax / side[1]), shape=shape)


def _turned(kind: str, box: Corners, corner: tuple[float, float], degrees: float) -> list[tuple[float, float]]:
    """The corners of a box turned about its first corner, or those around an ellipse turned about its centre."""
    if kind == _BOXES:
        return turned(box, degrees, corner)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    xmin, ymin, xmax, ymax = around_ellipse(centre, (box[2] - centre[0], box[3] - centre[1]), degrees)
    return [(xmin, ymin), (xmax, ymax)]


def _drawn(kind: str, value: dict[str, Any]) -> list[tuple[float, float]]:
    """Two corners, or all points, in percent."""
    if kind == _POLYGONS:
        listed = value.get("points")
        return points(listed if isinstance(listed, list) else [], kind)
    names = ("x", "y", "width", "height") if kind == _BOXES else ("x", "y", "radiusX", "radiusY")
    x, y, width, height = (number(value.get(name), name) for name in names)
    return [(x, y), (x + width, y + height)] if kind == _BOXES else [(x - width, y - height), (x + width, y + height)]


def _label(value: dict[str, Any], beside: dict[str, Any]) -> str:
    """The class, empty if there is none; `beside` is the result of a separate Labels tag for the same region.

    Raises UnusableError.
    """
    other = beside.get("value")
    sources = [value, other if isinstance(other, dict) else {}]
    names = [
        clean(name)
        for source in sources
        for key, listed in source.items()
        if key.endswith("labels") and isinstance(listed, list)
        for name in listed
    ]
    if len(names) > 1:
        raise UnusableError(CLASS_AMBIGUOUS, case="labels", labels=names)
    return next(iter(names), "")


def recognises(head: bytes) -> bool:
    """Whether it is an array of tasks with data and annotations, or of rows with an annotator and labels."""
    found = outline(head)
    full = "data" in found.keys and ("annotations" in found.keys or "completions" in found.keys)
    return found.array and (full or bool({"annotation_id", "annotator"} & set(found.keys)) or "data" in found.keys)


# The size is in each region, so an image without regions has none.
FORMAT = SetFormat("labelStudio", (".json",), index, recognises, relative=True, sized=False)
