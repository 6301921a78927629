"""Reader of CVAT's XML: "for images 1.1" has an <image> per image, "for video 1.1" a <track> per object.

Invariant: an <image> is freed once it is read, so memory does not grow with the file; no document type
declaration, entity or network access gets through. Shapes other than boxes give the upright box around them.
"""

from __future__ import annotations

from collections import Counter
from typing import BinaryIO

from lxml import etree

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.label_files import (
    ANNOTATION_FORMAT,
    ANNOTATION_MALFORMED,
    IMAGE_NAME_MISSING,
    LABELS_OF_WHOLE_IMAGES,
)
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.cvat_shapes import drawn, object_of
from trainingrun_agent.prep.source.readers.cvat_tracks import Tracks
from trainingrun_agent.prep.source.readers.hardened import OPTIONS, doctype, has_doctype
from trainingrun_agent.prep.source.readers.values import clean, pixels, text_of

HEAD = 64 << 10


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
    unfinished: etree._Element | None = None  # the <image> or <track> that has begun
    tracks, images = Tracks(entries), False
    tags = Counter[bool]()
    for event, element in events:
        parent = element.getparent()
        if event == "start":
            if parent is None:
                _check_root(element)
            elif unfinished is None and element.tag in ("image", "track"):
                unfinished = element
                if element.tag == "image":
                    _image(entries, element)
                    images = True
        elif parent is not None:
            if unfinished is None:
                tracks.about(element)
            elif element is unfinished:
                unfinished = None
                if element.tag == "track":
                    tracks.end(element)
            elif parent is unfinished:
                tags[element.tag == "tag"] += 1
                _shape(entries, parent, element) if parent.tag == "image" else tracks.shape(parent, element)
            _forget(element, parent)
    tracks.finish(images=images)
    _check_tags(tags)


def _check_tags(tags: Counter[bool]) -> None:
    if tags[True] and not tags[False]:
        raise UnusableError(LABELS_OF_WHOLE_IMAGES, case="tags", count=tags[True])


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
    return object_of(drawn(shape), shape.get("label"))


def recognises(head: bytes) -> bool:
    """<annotations> at the root, as CVAT writes it."""
    return "<annotations" in text_of(head)


FORMAT = SetFormat("cvat", (".xml",), index, recognises)
