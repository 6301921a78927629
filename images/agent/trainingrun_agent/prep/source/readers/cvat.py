"""Reader of "CVAT for images 1.1": one XML file with an <image> per image, boxes as floats.

Invariant: an <image> is freed once it is read, so memory does not grow with the file; no document type
declaration, entity or network access gets through. Shapes other than boxes give the upright box around them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from lxml import etree

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.label_files import (
    ANNOTATION_FORMAT,
    ANNOTATION_MALFORMED,
    IMAGE_NAME_MISSING,
    TRACKS_UNREAD,
)
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.hardened import OPTIONS, doctype, has_doctype
from trainingrun_agent.prep.source.readers.values import (
    Corners,
    boxed,
    clean,
    hull,
    label,
    not_a_box,
    number,
    pixels,
    points,
    text_of,
    turned,
)

HEAD = 64 << 10
_CUBOID = [f"{corner}{side}" for side in (1, 2) for corner in ("tl", "bl", "tr", "br")]
_NO_EXTENT = ("points", "skeleton")


def index(file: BinaryIO, entries: Entries, context: Context) -> None:  # noqa: ARG001 - names stand in the file
    """Read a label file into the index."""
    if has_doctype(file.read(HEAD)):
        raise doctype()
    file.seek(0)
    events = etree.iterparse(file, events=("start", "end"), **OPTIONS)
    try:
        _walk(events, entries)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise UnusableError(ANNOTATION_MALFORMED, case="parser", syntax="XML", problem=str(error)) from error


def _walk(events: etree.iterparse[tuple[str, etree._Element]], entries: Entries) -> None:
    image: etree._Element | None = None
    tracks = 0
    for event, element in events:
        parent = element.getparent()
        if event == "start":
            if parent is None:
                _check_root(element)
            elif element.tag == "image" and image is None:
                image = element
                _image(entries, element)
        elif parent is not None:
            if parent is image:
                _shape(entries, image, element)
            if element is image:
                image = None
            tracks += element.tag == "track" and parent.getparent() is None
            _forget(element, parent)
    if tracks:
        entries.stray(UnusableError(TRACKS_UNREAD, count=tracks))


def _forget(element: etree._Element, parent: etree._Element) -> None:
    """Free an element that was read, so that memory does not grow.

    The element itself has to stay until the next one has ended: the parser still writes the text behind it, and writes
    beyond the end of another when it is gone.
    """
    element.clear(keep_tail=True)  # type: ignore[call-arg]
    while (before := element.getprevious()) is not None:
        parent.remove(before)


def _check_root(root: etree._Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise doctype()
    if root.tag != "annotations":
        raise UnusableError(ANNOTATION_FORMAT, case="root", found=str(root.tag)[:60], expected="annotations")


def _image(entries: Entries, image: etree._Element) -> None:
    name = clean(image.get("name"))
    if not name:
        entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"<image id={image.get('id', '')[:20]!r}>"))
        return
    entries.image(name, name, width=pixels(image.get("width")), height=pixels(image.get("height")))


def _shape(entries: Entries, image: etree._Element, shape: etree._Element) -> None:
    name = clean(image.get("name"))
    if name and shape.tag != "tag":  # a tag is about the whole image
        entries.object(name, f"line {shape.sourceline}", _object, shape)


def _object(shape: etree._Element) -> LabelledObject:
    what = str(shape.tag)
    read = _SHAPES.get(what)
    if read is None:
        raise not_a_box(what, "noExtent" if what in _NO_EXTENT else "unknown")
    corners = read(shape)
    drawn = "" if what == "box" else what
    degrees = number(shape.get("rotation", "0"), "rotation")  # of boxes and ellipses, about their centre
    if degrees % 360:
        centre = ((corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2)
        corners, drawn = hull(turned(corners, degrees, centre), what), f"turned {what}"
    return boxed(label(shape.get("label", "")), corners, occluded=shape.get("occluded") == "1", shape=drawn)


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


def recognises(head: bytes) -> bool:
    """<annotations> at the root, as CVAT writes it."""
    return "<annotations" in text_of(head)


FORMAT = SetFormat("cvat", (".xml",), index, recognises)
