"""Shapes of CVAT's XML: the upright box around each, and shapes between two of a track."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lxml import etree

from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.source.readers.values import (
    Corners,
    around_ellipse,
    around_turned,
    boxed,
    hull,
    label,
    not_a_box,
    number,
    points,
)

_CUBOID = [f"{corner}{side}" for side in (1, 2) for corner in ("tl", "bl", "tr", "br")]
_NO_EXTENT = ("points", "skeleton")


class Drawn(NamedTuple):
    """A shape: the box around it, and by how many degrees it is turned about its centre."""

    kind: str
    corners: Corners
    degrees: float
    occluded: bool


def drawn(shape: etree._Element) -> Drawn:
    """Read a shape. Raises UnusableError."""
    kind = str(shape.tag)
    read = _SHAPES.get(kind)
    if read is None:
        raise not_a_box(kind, "noExtent" if kind in _NO_EXTENT else "unknown")
    degrees = number(shape.get("rotation", "0"), "rotation")  # of boxes and ellipses
    return Drawn(kind, read(shape), degrees, shape.get("occluded") == "1")


def object_of(shape: Drawn, name: str | None) -> LabelledObject:
    """The object that was drawn. Raises UnusableError without a name."""
    corners, kind = shape.corners, "" if shape.kind == "box" else shape.kind
    if shape.degrees % 360:
        if shape.kind == "ellipse":
            centre = ((corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2)
            corners = around_ellipse(centre, (corners[2] - centre[0], corners[3] - centre[1]), shape.degrees)
        else:
            corners = around_turned(corners, shape.degrees)
        kind = f"turned {shape.kind}"
    return boxed(label(name or ""), corners, occluded=shape.occluded, shape=kind)


def between(before: Drawn, after: Drawn, part: float) -> Drawn:
    """The shape at a part of the way, as CVAT interpolates: each number for itself, angles the shorter way round.

    Of polygons, whose points CVAT moves one by one, it is the box around them that moves.
    """
    corners = tuple(a + (b - a) * part for a, b in zip(before.corners, after.corners, strict=True))
    turn = (after.degrees - before.degrees + 180) % 360 - 180
    return before._replace(corners=corners, degrees=before.degrees + turn * part)  # type: ignore[arg-type]


def _numbers(shape: etree._Element, *names: str) -> list[float]:
    return [number(shape.get(name, ""), name) for name in names]


def _box(shape: etree._Element) -> Corners:
    xmin, ymin, xmax, ymax = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    return xmin, ymin, xmax, ymax


def _points(shape: etree._Element) -> Corners:
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair.strip()]
    return hull(points(pairs, str(shape.tag)), str(shape.tag))


def _ellipse(shape: etree._Element) -> Corners:
    x, y, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
    return x - abs(rx), y - abs(ry), x + abs(rx), y + abs(ry)


def _mask(shape: etree._Element) -> Corners:
    left, top, width, height = _numbers(shape, "left", "top", "width", "height")
    return left, top, left + width, top + height


def _cuboid(shape: etree._Element) -> Corners:
    xs, ys = (
        _numbers(shape, *(f"x{corner}" for corner in _CUBOID)),
        _numbers(shape, *(f"y{corner}" for corner in _CUBOID)),
    )
    return hull(list(zip(xs, ys, strict=True)), "cuboid")


_SHAPES: dict[str, Callable[[etree._Element], Corners]] = {
    "box": _box,
    "polygon": _points,
    "polyline": _points,
    "ellipse": _ellipse,
    "mask": _mask,
    "cuboid": _cuboid,
}
