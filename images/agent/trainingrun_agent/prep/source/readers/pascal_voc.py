"""Reader of PascalVOC XML, as LabelImg, roLabelImg and LabelMe on the web write it: one file per image.

Invariant: any bytes give an Annotation or UnusableError; no document type
declaration, entity or network access gets through. Children are found by name, in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any

from lxml import etree

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING, BOX_NOT_A_NUMBER, BOX_NOT_FINITE
from trainingrun_agent.prep.model.codes.classes import CLASS_MISSING
from trainingrun_agent.prep.model.codes.label_files import (
    ANNOTATION_EMPTY,
    ANNOTATION_FORMAT,
    ANNOTATION_MALFORMED,
    ANNOTATION_TOO_LARGE,
)
from trainingrun_agent.prep.source.readers import labelimg, voc_shapes
from trainingrun_agent.prep.source.readers.base import FileFormat
from trainingrun_agent.prep.source.readers.hardened import OPTIONS, doctype, has_doctype
from trainingrun_agent.prep.source.readers.values import Corners, around_turned, check_count, pixels, text_of

MAX_BYTES = 4 << 20
Texts = dict[Any, str | None]
_BLANKS = "\ufeff \t\r\n\u00a0"
_ROOT = re.compile(r"<annotation[\s/>]")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_PARSER = etree.XMLParser(**OPTIONS)


def read(data: bytes) -> Annotation:
    """Parse one file. Raises UnusableError."""
    if len(data) <= MAX_BYTES and (found := labelimg.read(data)) is not None:
        return found
    return parse(data)


def parse(data: bytes) -> Annotation:
    """Parse any file with the XML parser. Raises UnusableError."""
    root = _parse(data)
    size = _texts(root.find("size"))
    online = _texts(root.find("imagesize"))  # of LabelMe on the web
    objects = list(root.iterchildren("object"))
    check_count(objects)
    return Annotation(
        filename=_text(_texts(root), "filename"),
        width=pixels(_text(size, "width") or _text(online, "ncols")),
        height=pixels(_text(size, "height") or _text(online, "nrows")),
        objects=tuple([made for index, element in enumerate(objects) for made in _objects(element, index)]),
    )


def _parse(data: bytes) -> etree._Element:
    if not data.strip():
        raise UnusableError(ANNOTATION_EMPTY)
    if len(data) > MAX_BYTES:
        raise UnusableError(ANNOTATION_TOO_LARGE, case="bytes", size=len(data), limit=MAX_BYTES)
    if has_doctype(data):
        raise doctype()
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        problem = str(getattr(error, "msg", error))
        raise UnusableError(ANNOTATION_MALFORMED, case="parser", syntax="XML", problem=problem) from error
    if root.getroottree().docinfo.internalDTD is not None:
        # The encoding hides the declaration from the search above.
        raise doctype()
    if root.tag != "annotation":
        raise UnusableError(ANNOTATION_FORMAT, case="root", found=str(root.tag)[:60], expected="annotation")
    return root


def _objects(element: etree._Element, index: int) -> Iterator[LabelledObject]:
    """One object; several if the element has several boxes."""
    children = {child.tag: child for child in reversed(element)}  # the first of several elements of one name
    texts = {tag: child.text for tag, child in children.items()}
    if _flag(texts, "deleted"):  # LabelMe on the web keeps what was deleted
        return
    name = _text(texts, "name")
    if not name:
        raise UnusableError(CLASS_MISSING, index=index)
    degrees = voc_shapes.degrees_of(children.get("attributes"))
    for drawn, corners in _drawn(element, children, name, index):
        turned = degrees % 360 != 0
        shape = "turned box" if turned else drawn
        xmin, ymin, xmax, ymax = around_turned(corners, degrees) if turned else corners
        yield LabelledObject(
            index,
            name,
            xmin,
            ymin,
            xmax,
            ymax,
            _flag(texts, "difficult"),
            _flag(texts, "truncated"),
            _text(texts, "pose")[: labelimg.MAX_VIEW],
            _flag(texts, "occluded"),
            shape=shape,
        )


def _drawn(
    element: etree._Element, children: Mapping[Any, etree._Element], name: str, index: int
) -> Iterator[tuple[str, Corners]]:
    """What was drawn, and the corners of the upright box around it."""
    if "bndbox" in children:
        yield from (("", _corners(_texts(box), index)) for box in element.iterchildren("bndbox"))
    elif "robndbox" in children:
        yield "turned box", voc_shapes.turned_box(_texts(children["robndbox"]), index)
    elif "polygon" in children and len(children["polygon"]):
        yield "polygon", voc_shapes.polygon(children["polygon"], index)
    elif (box := element.find("segm/box")) is not None:
        yield "mask", _corners(_texts(box), index)
    else:
        raise UnusableError(BOX_MISSING, case="noBndbox", name=name, index=index)


def _corners(box: Texts, index: int) -> Corners:
    with suppress(KeyError, TypeError, ValueError):
        corners = (float(box["xmin"]), float(box["ymin"]), float(box["xmax"]), float(box["ymax"]))  # type: ignore[arg-type]
        if isfinite(sum(corners)):
            return corners
    xmin, ymin, xmax, ymax = (_coordinate(box, corner, index) for corner in _CORNERS)
    return xmin, ymin, xmax, ymax


def _coordinate(box: Texts, corner: str, index: int) -> float:
    text = _text(box, corner)
    try:
        value = float(text)
    except ValueError:
        raise UnusableError(BOX_NOT_A_NUMBER, what=f"<{corner}>", found=repr(text[:60]), index=index) from None
    if not isfinite(value):
        raise UnusableError(BOX_NOT_FINITE, case="number", what=f"<{corner}>", found=text[:60], index=index)
    return value


def _texts(element: etree._Element | None) -> Texts:
    """The texts of the children by name; of several with one name the first."""
    return {} if element is None else {child.tag: child.text for child in reversed(element)}


def _text(texts: Texts, name: str) -> str:
    return (texts.get(name) or "").strip(_BLANKS)


def _flag(texts: Texts, name: str) -> bool:
    text = texts.get(name)
    return text is not None and text.strip(_BLANKS) == "1"


def recognises(head: bytes) -> bool:
    """Whether the root element is <annotation>."""
    return bool(_ROOT.search(text_of(head)))


FORMAT = FileFormat("pascalVOC", ".xml", MAX_BYTES, lambda data, _context: read(data), recognises)
