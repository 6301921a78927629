"""Reader of Supervisely's JSON: one file per image, `img/a.jpg` and `ann/a.jpg.json`; read as a kind of LabelMe.

Invariant: of a mask, only the header of its image is unpacked, because its size and place say where it ends.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING
from trainingrun_agent.prep.source.readers.outline import Outline
from trainingrun_agent.prep.source.readers.values import (
    Corners,
    boxed,
    check_count,
    clean,
    hull,
    label,
    not_a_box,
    number,
    pixels,
    points,
)

FOLDERS = ("img", "ann")
ASIDE = ("meta.json", "obj_class_to_machine_color.json", "key_id_map.json")
"""Folders of images and labels; files of a project that hold no labels."""
_PACKED, _HEADER = 1 << 10, 24
_PNG = b"\x89PNG\r\n\x1a\n"
_HULLS = ("rectangle", "polygon", "line")


def is_one(document: dict[str, Any]) -> bool:
    """Whether a document is one of Supervisely's."""
    return isinstance(document.get("objects"), list) and isinstance(document.get("size"), dict)


def recognises(found: Outline) -> bool:
    """Whether a file that begins like this is one of Supervisely's."""
    return not found.array and found.has("size", "height", "width") and "objects" in found.keys


def read(document: dict[str, Any]) -> Annotation:
    """Read a document. Raises UnusableError with the index of the object."""
    size, listed = document["size"], document["objects"]
    check_count(listed)
    return Annotation(
        filename="",
        width=pixels(size.get("width")),
        height=pixels(size.get("height")),
        objects=tuple(_object(one if isinstance(one, dict) else {}, index) for index, one in enumerate(listed)),
    )


def _object(one: dict[str, Any], index: int) -> LabelledObject:
    kind = clean(one.get("geometryType"))
    try:
        corners = _corners(kind, one)
        return boxed(label(one.get("classTitle")), corners, index=index, shape="" if kind == "rectangle" else kind)
    except UnusableError as problem:
        problem.index = index
        raise


def _corners(kind: str, one: dict[str, Any]) -> Corners:
    if kind == "bitmap":
        return _bitmap(one.get("bitmap"))
    drawn = one.get("points")
    exterior = drawn.get("exterior") if isinstance(drawn, dict) else None
    if kind not in _HULLS:
        raise not_a_box(kind or "object", "noExtent")
    return hull(points(exterior if isinstance(exterior, list) else [], kind), kind)


def _bitmap(mask: object) -> Corners:
    """The box of a mask: its origin, and the size of the PNG in it."""
    parts = mask if isinstance(mask, dict) else {}
    [(x, y)] = points([parts.get("origin")], "bitmap")
    packed = clean(parts.get("data"))[:_PACKED]
    try:
        header = zlib.decompressobj().decompress(base64.b64decode(packed[: len(packed) // 4 * 4]), _HEADER)
    except (ValueError, zlib.error):
        header = b""
    if len(header) < _HEADER or not header.startswith(_PNG):
        raise UnusableError(BOX_MISSING, case="mask")
    width, height = (number(int.from_bytes(header[at : at + 4], "big"), "a side of the mask") for at in (16, 20))
    return x, y, x + width, y + height
