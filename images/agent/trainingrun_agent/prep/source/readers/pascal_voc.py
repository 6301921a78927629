"""Reader of PascalVOC XML, as LabelImg writes it: one file per image.

Invariant: bytes from anywhere give an Annotation or UnusableError, never anything else; no document type
declaration, entity or network access gets through. Children are found by name, in any order.
"""

from __future__ import annotations

import re
from contextlib import suppress
from math import isfinite
from typing import Any

from lxml import etree

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.source.readers import labelimg
from trainingrun_agent.prep.source.readers.base import FileFormat
from trainingrun_agent.prep.source.readers.hardened import OPTIONS, doctype, has_doctype
from trainingrun_agent.prep.source.readers.values import pixels, text_of

MAX_BYTES = 4 << 20
Texts = dict[Any, str | None]
_BLANKS = "\ufeff \t\r\n\u00a0"
_ROOT = re.compile(r"<annotation[\s/>]")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_PARSER = etree.XMLParser(**OPTIONS)


def read(data: bytes) -> Annotation:
    """Parse one file. Raises UnusableError with the code of the finding."""
    if len(data) <= MAX_BYTES and (found := labelimg.read(data)) is not None:
        return found
    return parse(data)


def parse(data: bytes) -> Annotation:
    """Any file, by the XML parser. Raises as `read` does."""
    root = _parse(data)
    size = _texts(root.find("size"))
    return Annotation(
        filename=_text(_texts(root), "filename"),
        width=pixels(_text(size, "width")),
        height=pixels(_text(size, "height")),
        objects=tuple([_object(element, index) for index, element in enumerate(root.iterchildren("object"))]),
    )


def _parse(data: bytes) -> etree._Element:
    if not data.strip():
        raise UnusableError("AnnotationEmpty", "the file is empty", hint="Label the image again and save.")
    if len(data) > MAX_BYTES:
        raise UnusableError(
            "AnnotationTooLarge",
            f"{len(data)} bytes, at most {MAX_BYTES} are read",
            hint="One PascalVOC file holds the labels of one image; split the file.",
        )
    if has_doctype(data):
        raise doctype()
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise UnusableError(
            "AnnotationMalformed",
            f"no well-formed XML: {getattr(error, 'msg', error)}",
            hint="Save it again with the label tool; XML without an encoding declaration must be UTF-8.",
        ) from error
    if root.getroottree().docinfo.internalDTD is not None:
        # An encoding that hides the declaration from the search above.
        raise doctype()
    if root.tag != "annotation":
        raise UnusableError(
            "AnnotationFormat",
            f"the root element is <{str(root.tag)[:60]}>, not <annotation>",
            hint="Save the labels as PascalVOC.",
        )
    return root


def _object(element: etree._Element, index: int) -> LabelledObject:
    children = {child.tag: child for child in reversed(element)}  # of several with one name the first
    texts = {tag: child.text for tag, child in children.items()}
    name = _text(texts, "name")
    if not name:
        raise UnusableError(
            "ClassMissing", "an object has no name", hint="Give the box a class in the label tool.", index=index
        )
    if "bndbox" not in texts:
        raise UnusableError(
            "BoxMissing",
            f"the object {name!r} has no <bndbox>",
            hint="Only boxes can be trained: convert polygons to boxes, or delete the object.",
            index=index,
        )
    xmin, ymin, xmax, ymax = _corners(_texts(children["bndbox"]), index)
    return LabelledObject(
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
    )


def _corners(box: Texts, index: int) -> tuple[float, ...]:
    with suppress(KeyError, TypeError, ValueError):
        corners = (float(box["xmin"]), float(box["ymin"]), float(box["xmax"]), float(box["ymax"]))  # type: ignore[arg-type]
        if isfinite(sum(corners)):
            return corners
    return tuple([_coordinate(box, corner, index) for corner in _CORNERS])


def _coordinate(box: Texts, corner: str, index: int) -> float:
    text = _text(box, corner)
    try:
        value = float(text)
    except ValueError:
        raise UnusableError(
            "BoxNotANumber",
            f"<{corner}> is {text[:60]!r}",
            hint="Draw the box again, or correct the number in the file.",
            index=index,
        ) from None
    if not isfinite(value):
        raise UnusableError(
            "BoxNotFinite", f"<{corner}> is {text[:60]}", hint="Draw the box again: it has no place.", index=index
        )
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
    """<annotation> at the root."""
    return bool(_ROOT.search(text_of(head)))


FORMAT = FileFormat("pascalVOC", ".xml", MAX_BYTES, lambda data, _classes: read(data), recognises)
