"""The demo's photos of tires as a careless team hands them in: defects that the tutorial's scripts let pass.

Invariant: of sixteen photos in a row, always the same ones have the same defect; three have none. A defect that would
end the tutorial's way at once, such as a JPEG that is cut off, is not among them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import replace

from PIL import Image

from trdemo.tires import SIZE, Box, Photo, label

Defect = Callable[[Photo], Photo]
_ORIENTATION, _RIGHT_TOP = 0x0112, 6


def wrong_case(photo: Photo) -> Photo:
    """Labelled by somebody who writes Tire."""
    return replace(photo, xml=photo.xml.replace(b"<name>tire<", b"<name>Tire<"))


def swapped(photo: Photo) -> Photo:
    """Boxes drawn from the lower right to the upper left, in a tool that writes corners as they were drawn."""
    boxes = [Box(box.xmax, box.ymax, box.xmin, box.ymin) for box in photo.boxes]
    return replace(photo, xml=label(photo.name, boxes))


def clicked(photo: Photo) -> Photo:
    """A click by mistake, which leaves a box without area."""
    return replace(photo, xml=label(photo.name, [*photo.boxes, Box(30, 30, 30, 30)]))


def outside(photo: Photo) -> Photo:
    """A box that stayed when the image was cut to size."""
    width, height = SIZE
    return replace(photo, xml=label(photo.name, [*photo.boxes, Box(width + 20, 10, width + 90, height - 10)]))


def turned(photo: Photo) -> Photo:
    """Taken with a phone held upright: stored lying down with a note to turn it, which label tools heed."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _RIGHT_TOP
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        return replace(photo, jpeg=_encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif))


def scaled(photo: Photo) -> Photo:
    """Made smaller after it was labelled."""
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        return replace(photo, jpeg=_encoded(image.resize((SIZE[0] // 2, SIZE[1] // 2))))


def png(photo: Photo) -> Photo:
    """A PNG whose name ends in .jpg."""
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        out = io.BytesIO()
        image.save(out, "PNG")
        return replace(photo, jpeg=out.getvalue())


def unchanged(photo: Photo) -> Photo:
    """Nothing wrong with it."""
    return photo


PLAN: tuple[Defect, ...] = (
    *(wrong_case, swapped, turned, clicked, wrong_case, swapped, unchanged, outside),
    *(wrong_case, swapped, turned, clicked, png, scaled, unchanged, unchanged),
)
UNREPAIRABLE = sum(spoil in (wrong_case, scaled) for spoil in PLAN) / len(PLAN)
"""The share of photos that nothing but a person can mend."""


def with_defects(photos: Iterable[Photo]) -> list[Photo]:
    """The photos with their defects."""
    return [PLAN[number % len(PLAN)](photo) for number, photo in enumerate(photos)]


def _encoded(image: Image.Image, exif: Image.Exif | None = None) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, exif=exif or Image.Exif())
    return out.getvalue()
