"""Add defects to the demo's photos that are common in real data and that the tutorial's scripts do not notice.

Invariant: of sixteen photos in a row, the same ones always get the same defect, and three get none. Defects that would
abort the tutorial's scripts, such as a truncated JPEG, are left out.
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
    """The class is written Tire instead of tire."""
    return replace(photo, xml=photo.xml.replace(b"<name>tire<", b"<name>Tire<"))


def swapped(photo: Photo) -> Photo:
    """Boxes drawn from the lower right to the upper left, in a tool that writes the corners in that order."""
    boxes = [Box(box.xmax, box.ymax, box.xmin, box.ymin) for box in photo.boxes]
    return replace(photo, xml=label(photo.name, boxes))


def clicked(photo: Photo) -> Photo:
    """An accidental click has left a box without area."""
    return replace(photo, xml=label(photo.name, [*photo.boxes, Box(30, 30, 30, 30)]))


def outside(photo: Photo) -> Photo:
    """The image was cropped after labelling, and a box is now outside."""
    width, height = SIZE
    return replace(photo, xml=label(photo.name, [*photo.boxes, Box(width + 20, 10, width + 90, height - 10)]))


def turned(photo: Photo) -> Photo:
    """Taken with a phone held upright: stored rotated, with an EXIF orientation that label tools apply."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _RIGHT_TOP
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        return replace(photo, jpeg=_encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif))


def scaled(photo: Photo) -> Photo:
    """The image was scaled down after labelling."""
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        return replace(photo, jpeg=_encoded(image.resize((SIZE[0] // 2, SIZE[1] // 2))))


def png(photo: Photo) -> Photo:
    """A PNG whose name ends in .jpg."""
    with Image.open(io.BytesIO(photo.jpeg)) as image:
        out = io.BytesIO()
        image.save(out, "PNG")
        return replace(photo, jpeg=out.getvalue())


def unchanged(photo: Photo) -> Photo:
    """No defect."""
    return photo


PLAN: tuple[Defect, ...] = (
    *(wrong_case, swapped, turned, clicked, wrong_case, swapped, unchanged, outside),
    *(wrong_case, swapped, turned, clicked, png, scaled, unchanged, unchanged),
)
UNREPAIRABLE = sum(spoil in (wrong_case, scaled) for spoil in PLAN) / len(PLAN)
"""Fraction of the photos that only a person can repair."""


def with_defects(photos: Iterable[Photo]) -> list[Photo]:
    """Copies of the photos with defects, as PLAN assigns them."""
    return [PLAN[number % len(PLAN)](photo) for number, photo in enumerate(photos)]


def _encoded(image: Image.Image, exif: Image.Exif | None = None) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, exif=exif or Image.Exif())
    return out.getvalue()
