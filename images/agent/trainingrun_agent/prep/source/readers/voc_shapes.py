"""Shapes in PascalVOC XML that are no upright boxes: roLabelImg's turned boxes, polygons.

Invariant: the result is the upright box around the shape, or UnusableError with the index of the object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING
from trainingrun_agent.prep.source.readers.values import Corners, hull, number, turned

_SIDES = ("cx", "cy", "w", "h", "angle")
_ROTATION = re.compile(r"(?:^|,)\s{0,20}rotation=([^,\s]{1,30})")
_FULL_TURN = 6.29
"""Radians, rounded up: a larger angle is one in degrees."""


def turned_box(texts: Mapping[Any, str | None], index: int) -> Corners:
    """The box around <robndbox>: centre, width, height, and an angle in radians."""
    try:
        x, y, width, height, angle = (number(texts.get(name) or "", f"<{name}>") for name in _SIDES)
    except UnusableError as problem:
        problem.index = index
        raise
    if abs(angle) > _FULL_TURN:
        raise UnusableError(BOX_MISSING, case="angle", found=f"{angle:g}", index=index)
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return hull(turned(box, math.degrees(angle), (x, y)), "turned box")


def degrees_of(attributes: etree._Element | None) -> float:
    """By how many degrees a box is turned about its centre, by the attribute that CVAT writes beside the upright box.

    That is <attribute><name>rotation</name><value>45.0</value></attribute>, in LabelMe's XML the text rotation=45.0.
    """
    if attributes is None:
        return 0
    listed = {one.findtext("name"): one.findtext("value") for one in attributes.iterchildren("attribute")}
    found = _ROTATION.search(attributes.text or "")
    try:
        return number(listed.get("rotation") or (found[1] if found else "0"), "rotation")
    except UnusableError:
        return 0  # an attribute of the user's own


def polygon(element: etree._Element, index: int) -> Corners:
    """The box around <polygon>: <pt><x/><y/></pt> of LabelMe on the web, or <x1/><y1/><x2/>... of Roboflow."""
    points = list(element.iterchildren("pt")) or [element]
    try:
        xs, ys = (
            [number(child.text or "", f"<{child.tag}>") for point in points for child in point if _is(child, axis)]
            for axis in "xy"
        )
        return hull(list(zip(xs, ys, strict=False)), "polygon")
    except UnusableError as problem:
        problem.index = index
        raise


def _is(child: etree._Element, axis: str) -> bool:
    tag = str(child.tag)
    return tag[:1] == axis and (tag == axis or tag[1:].isdecimal())
