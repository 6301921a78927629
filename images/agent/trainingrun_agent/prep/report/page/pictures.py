"""Small pictures with their boxes drawn in.

Invariant: never raises for bad data; memory is bounded by what one image may take, a picture by some kilobytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from threading import Lock

from PIL import Image, ImageDraw, ImageFont

from trainingrun_agent.prep.image.images import opened, render
from trainingrun_agent.prep.image.intensity import UNKNOWN, Scaling

MAX_SIDE, MIN_SIDE = 320, 160
"""Smaller pictures are enlarged, so that lines have room."""
MAX_BYTES = 14_000
QUALITIES = (80, 65, 45)
"""JPEG qualities to try until the picture is small enough; the last is kept whatever its size."""
MAX_LABELS, MAX_LABEL = 10, 24
_MARKED, _PLAIN, _HALO = "#ffa033", "#1e9bff", "#101010"
_MARKED_WIDTH, _PLAIN_WIDTH, _HALO_WIDTH = 3, 2, 2
_DASH, _GAP = 8, 4
_LARGE = Lock()
"""Held while a large image is decoded: several threads draw."""


@dataclass(frozen=True)
class Box:
    """`corners` are xmin, ymin, xmax, ymax as parts of the shown picture's size, 0..1."""

    corners: tuple[float, float, float, float]
    label: str
    marked: bool = False


@dataclass(frozen=True)
class Wanted:
    """A picture to show; `group` is a finding's code or "class:<name>", `upright` turns it as its EXIF says.

    `scaling` as in images.render.
    """

    split: str
    path: str
    caption: str
    group: str
    boxes: tuple[Box, ...] = ()
    upright: bool = True
    scaling: Scaling = UNKNOWN


@dataclass(frozen=True)
class Shown:
    """The picture as JPEG, None if it cannot be shown."""

    split: str
    path: str
    caption: str
    group: str
    jpeg: bytes | None


def draw(data: bytes, wanted: Wanted) -> Shown:
    """The image file as a small JPEG with the boxes in it."""
    jpeg: bytes | None
    try:
        picture = _small(data, wanted)
        _outline(picture, wanted.boxes)
        jpeg = _encoded(picture)
    except Exception:  # whatever an image or a box that cannot be drawn brings up  # noqa: BLE001
        jpeg = None
    return Shown(wanted.split, wanted.path, wanted.caption, wanted.group, jpeg)


def _small(data: bytes, wanted: Wanted) -> Image.Image:
    """Decode as for training, only smaller. Raises UnusableError."""
    with opened(data) as source:
        made = render(source, rotate=wanted.upright, max_side=MAX_SIDE, large=lambda _: _LARGE, scaling=wanted.scaling)
    with Image.open(io.BytesIO(made.data)) as image:
        picture = image.convert("RGB")
    times = MIN_SIDE // max(picture.size)
    return picture.resize((times * picture.width, times * picture.height)) if times > 1 else picture


def _outline(picture: Image.Image, boxes: tuple[Box, ...]) -> None:
    """Marked boxes differ in colour, width and line, and lie on top."""
    canvas = ImageDraw.Draw(picture)
    for box in sorted(boxes, key=lambda box: box.marked):
        corners = _pixels(box, picture)
        if box.marked:
            _rectangle(canvas, corners, _HALO, _MARKED_WIDTH + _HALO_WIDTH)
            _dashed(canvas, corners)
        else:
            _rectangle(canvas, corners, _PLAIN, _PLAIN_WIDTH)
    named = boxes if len(boxes) <= MAX_LABELS else [box for box in boxes if box.marked]
    for box in named[:MAX_LABELS]:
        _name(canvas, box, _pixels(box, picture))


def _pixels(box: Box, picture: Image.Image) -> tuple[int, int, int, int]:
    """The corners in order and clipped to the picture."""
    x = sorted(_within(share, picture.width) for share in box.corners[::2])
    y = sorted(_within(share, picture.height) for share in box.corners[1::2])
    return x[0], y[0], x[1], y[1]


def _within(share: float, size: int) -> int:
    return round(min(max(share, 0.0), 1.0) * (size - 1))


def _rectangle(canvas: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], colour: str, width: int) -> None:
    """Its line is centred on the corners, as a dashed one is."""
    xmin, ymin, xmax, ymax = corners
    path = [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax), (xmin, ymin)]
    canvas.line(path, fill=colour, width=width)


def _dashed(canvas: ImageDraw.ImageDraw, corners: tuple[int, int, int, int]) -> None:
    xmin, ymin, xmax, ymax = corners
    for x in range(xmin, xmax + 1, _DASH + _GAP):
        for y in (ymin, ymax):
            canvas.line((x, y, min(x + _DASH, xmax), y), fill=_MARKED, width=_MARKED_WIDTH)
    for y in range(ymin, ymax + 1, _DASH + _GAP):
        for x in (xmin, xmax):
            canvas.line((x, y, x, min(y + _DASH, ymax)), fill=_MARKED, width=_MARKED_WIDTH)


def _name(canvas: ImageDraw.ImageDraw, box: Box, corners: tuple[int, int, int, int]) -> None:
    """Above the box, or below its upper edge if there is no room."""
    font = ImageFont.load_default(size=11)
    label = box.label.strip()[:MAX_LABEL]
    left, _, right, bottom = canvas.textbbox((0, 0), label, font=font)
    x, y = corners[0], corners[1] - int(bottom) - 3
    if y < 0:
        y = corners[1] + 2
    canvas.rectangle((x, y, x + right + 4, y + bottom + 2), fill=_HALO)
    canvas.text((x + 2 - left, y), label, fill=_MARKED if box.marked else "white", font=font)


def _encoded(picture: Image.Image) -> bytes:
    for quality in QUALITIES:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= MAX_BYTES:
            break
    return out.getvalue()
