"""Reader of Apple's Create ML JSON: an array with an entry per image, boxes by their centre, in pixels.

Invariant: an entry without annotations is an image without objects. The boxes are those of MLObjectDetector
(developer.apple.com, "Building an object detector data source"): `x` and `y` are the centre of the box.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import BOX_MISSING
from trainingrun_agent.prep.model.codes.label_files import IMAGE_NAME_MISSING
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.json_stream import JSONStream
from trainingrun_agent.prep.source.readers.outline import outline
from trainingrun_agent.prep.source.readers.values import boxed, clean, label, number

_NAMES = ("image", "imagefilename")
_OBJECTS = ("annotations", "annotation")


def index(file: BinaryIO, entries: Entries, context: Context) -> None:  # noqa: ARG001 - names stand in the file
    """Read a label file into the index."""
    stream = JSONStream(file)
    for place, element in enumerate(stream.elements()):
        image = element if isinstance(element, dict) else {}
        name = next((text for key in _NAMES if (text := clean(image.get(key)))), "")
        if not name:
            entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"entry [{place}]"))
            continue
        ref = f"{place}"
        entries.image(ref, name)
        for at, part in enumerate(_objects(image)):
            entries.object(ref, f"entry [{place}] annotation [{at}]", _object, part if isinstance(part, dict) else {})
    stream.end()


def _objects(image: dict[str, Any]) -> list[Any]:
    """The annotations of an image; some programs write a single one without a list around it."""
    found: Any = next((image[key] for key in _OBJECTS if image.get(key)), [])
    return found if isinstance(found, list) else [found]


def _object(part: dict[str, Any]) -> LabelledObject:
    name = label(part.get("label"))
    box = part.get("coordinates")
    if not isinstance(box, dict):
        raise UnusableError(BOX_MISSING, case="noCoordinates")
    x, y, width, height = (number(box.get(key), key) for key in ("x", "y", "width", "height"))
    return boxed(name, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def recognises(head: bytes) -> bool:
    """An array of images, each with annotations that have coordinates; images without objects may come first."""
    found = outline(head)
    named = any(key in found.keys for key in _NAMES)
    inner = [found.inner[key] for key in _OBJECTS if key in found.keys]
    return found.array and named and any(not keys or {"label", "coordinates"} <= keys for keys in inner)


FORMAT = SetFormat("createML", (".json",), index, recognises, sized=False)
