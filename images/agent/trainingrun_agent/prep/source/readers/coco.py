"""Reader of COCO JSON: boxes as [x, y, width, height], images and categories by ids of any kind.

An annotation without a box gets the upright box around its segmentation.

Invariant: images, annotations and categories may stand in any order; nothing is looked up before all are read.
Ids need not be contiguous; the ids of the label map are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING
from trainingrun_agent.prep.model.codes.label_files import (
    ENTRIES_CONTRADICT,
    ENTRY_INCOMPLETE,
    LABELS_OF_WHOLE_IMAGES,
)
from trainingrun_agent.prep.source.readers import coco_masks
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.json_stream import JSONStream
from trainingrun_agent.prep.source.readers.outline import outline
from trainingrun_agent.prep.source.readers.values import around_turned, boxed, clean, number, pixels

_OBJECT = "object"
_OF_WHOLE_IMAGES = {"caption": "captions", "segments_info": "segments"}
"""Keys of annotations that are no objects, in files that COCO publishes beside those with boxes."""


def index(file: BinaryIO, entries: Entries, context: Context) -> None:  # noqa: ARG001 - names stand in the file
    """Read a label file into the index."""
    stream = JSONStream(file)
    names: dict[str, str] = {}
    kinds = Counter[str]()
    readers: dict[str, Callable[[Entries, int, dict[str, Any]], None]] = {
        "images": _image,
        "annotations": partial(_annotation, kinds),
        "categories": partial(_category, names),
    }
    for key in stream.members():
        read = readers.get(key)
        if read is not None and stream.peek() == "[":
            for place, element in enumerate(stream.elements()):
                read(entries, place, element if isinstance(element, dict) else {})
    stream.end()
    if kinds and not kinds[_OBJECT]:
        [(case, count)] = kinds.most_common(1)
        raise UnusableError(LABELS_OF_WHOLE_IMAGES, case=case, count=count)


def _image(entries: Entries, place: int, image: dict[str, Any]) -> None:
    ref, name = clean(image.get("id")), clean(image.get("file_name"))
    if not ref or not name:
        entries.stray(_incomplete("images", place, "id" if name else "file_name"))
        return
    entries.image(ref, name, width=pixels(image.get("width")), height=pixels(image.get("height")))


def _annotation(kinds: Counter[str], entries: Entries, place: int, annotation: dict[str, Any]) -> None:
    kind = next((case for key, case in _OF_WHOLE_IMAGES.items() if key in annotation), _OBJECT)
    kinds[kind] += 1
    if kind != _OBJECT:
        return
    ref = clean(annotation.get("image_id"))
    if not ref:
        entries.stray(_incomplete("annotations", place, "image_id"))
        return
    category = clean(annotation.get("category_id"))
    entries.object(ref, f"annotations[{place}]", _object, annotation, category, category=category)


def _object(annotation: dict[str, Any], category: str) -> LabelledObject:
    box, crowd = annotation.get("bbox"), annotation.get("iscrowd") in (1, True, "1")
    drawn = annotation.get("segmentation")
    if coco_masks.has_no_box(box) and (shape := coco_masks.shape_of(drawn)):
        return boxed(category, coco_masks.box_around(drawn), crowd=crowd, shape=shape)
    if not isinstance(box, list) or len(box) != 4:
        raise UnusableError(BOX_MISSING, case="noBbox")
    x, y, width, height = (number(value, f"bbox[{at}]") for at, value in enumerate(box))
    corners = x, y, x + width, y + height
    if not drawn and (degrees := _degrees(annotation.get("attributes"))) % 360:
        return boxed(category, around_turned(corners, degrees), crowd=crowd, shape="turned box")
    return boxed(category, corners, crowd=crowd)


def _degrees(attributes: object) -> float:
    """By how many degrees CVAT turned a box about its centre: it writes the box as if it were upright."""
    if not isinstance(attributes, dict) or "occluded" not in attributes:
        return 0
    try:
        return number(attributes.get("rotation", 0), "rotation")
    except UnusableError:
        return 0  # an attribute of the user's own


def _category(names: dict[str, str], entries: Entries, place: int, category: dict[str, Any]) -> None:
    ident, name = clean(category.get("id")), clean(category.get("name"))
    if not ident or not name:
        entries.stray(_incomplete("categories", place, "id" if name else "name"))
        return
    entries.category(ident, name)
    if names.setdefault(ident, name) != name:
        raise UnusableError(ENTRIES_CONTRADICT, case="category", id=ident, first=names[ident], second=name)


def _incomplete(part: str, place: int, missing: str) -> UnusableError:
    return UnusableError(ENTRY_INCOMPLETE, where=f"{part}[{place}]", missing=missing)


def recognises(head: bytes) -> bool:
    """An object with images that have a file_name, or annotations that have a bbox."""
    found = outline(head)
    listed = found.inner.get("images")
    images = "file_name" in (listed or ()) or (found.keys[-1:] == ["images"] and not listed)
    boxes = {"image_id", "category_id"} <= found.inner.get("annotations", set())
    categories = "supercategory" in found.inner.get("categories", ())
    return not found.array and (images or boxes or categories)


FORMAT = SetFormat("coco", (".json",), index, recognises)
