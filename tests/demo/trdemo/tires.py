"""Draw the demo's data set: pictures of tires with XML files as LabelImg writes them.

A tire is a dark ring with a hub and spokes on a varied background. Every tenth image shows no tire and has an XML file
without objects. All pictures are derived from the seed, so the same call draws the same bytes.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFilter

SIZE = (240, 180)  # pixels
NEGATIVE_EVERY = 10  # every tenth image shows no tire


@dataclass(frozen=True, slots=True)
class Box:
    """Corners of a box in pixels, as in PascalVOC's bndbox."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


@dataclass(frozen=True, slots=True)
class Photo:
    """One image with its annotation."""

    name: str
    jpeg: bytes
    xml: bytes
    boxes: tuple[Box, ...]


def draw_set(count: int, *, seed: int, prefix: str) -> Iterator[Photo]:
    """Draw `count` photos named `<prefix>_<number>.jpg`."""
    for number in range(count):
        rng = random.Random(f"{seed}/{prefix}/{number}")  # noqa: S311 - pictures, not secrets
        yield _photo(f"{prefix}_{number:04d}", rng, empty=number % NEGATIVE_EVERY == NEGATIVE_EVERY - 1)


def _photo(stem: str, rng: random.Random, *, empty: bool) -> Photo:
    image = _background(rng)
    boxes: list[Box] = []
    for _ in range(0 if empty else rng.choice((1, 1, 1, 2))):
        box = _place(rng, boxes)
        if box is not None:
            _tire(image, box, rng)
            boxes.append(box)
    data = io.BytesIO()
    image.filter(ImageFilter.GaussianBlur(0.4)).save(data, "JPEG", quality=85)
    return Photo(f"{stem}.jpg", data.getvalue(), label(f"{stem}.jpg", boxes), tuple(boxes))


def _background(rng: random.Random) -> Image.Image:
    top, bottom = (tuple(rng.randint(110, 235) for _ in range(3)) for _ in range(2))
    image = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(image)
    for y in range(SIZE[1]):
        share = y / SIZE[1]
        draw.line((0, y, SIZE[0], y), fill=tuple(int(a + (b - a) * share) for a, b in zip(top, bottom, strict=True)))
    for _ in range(rng.randint(3, 7)):
        x, y = rng.randint(0, SIZE[0]), rng.randint(0, SIZE[1])
        w, h = rng.randint(10, 70), rng.randint(8, 50)
        fill = tuple(rng.randint(90, 250) for _ in range(3))
        draw.rectangle((x, y, x + w, y + h), fill=fill)
    return image


def _place(rng: random.Random, taken: list[Box]) -> Box | None:
    for _ in range(20):
        radius = rng.randint(24, 44)
        x, y = (rng.randint(radius + 2, limit - radius - 2) for limit in SIZE)
        box = Box(x - radius, y - radius, x + radius, y + radius)
        if all(_apart(box, other) for other in taken):
            return box
    return None


def _apart(one: Box, other: Box) -> bool:
    return one.xmax < other.xmin or other.xmax < one.xmin or one.ymax < other.ymin or other.ymax < one.ymin


def _tire(image: Image.Image, box: Box, rng: random.Random) -> None:
    draw = ImageDraw.Draw(image)
    dark = rng.randint(15, 45)
    draw.ellipse((box.xmin, box.ymin, box.xmax, box.ymax), fill=(dark, dark, dark + 4))
    radius = (box.xmax - box.xmin) / 2
    x, y = box.xmin + radius, box.ymin + radius
    rim = radius * rng.uniform(0.55, 0.68)
    metal = rng.randint(150, 215)
    draw.ellipse((x - rim, y - rim, x + rim, y + rim), fill=(metal, metal, metal))
    spokes, turn = rng.choice((5, 6, 8)), rng.uniform(0, math.pi)
    for number in range(spokes):
        angle = turn + 2 * math.pi * number / spokes
        end = (x + rim * math.cos(angle), y + rim * math.sin(angle))
        draw.line(((x, y), end), fill=(dark + 40,) * 3, width=max(2, int(radius / 10)))
    hub = radius * 0.16
    draw.ellipse((x - hub, y - hub, x + hub, y + hub), fill=(dark + 20,) * 3)


def label(name: str, boxes: list[Box]) -> bytes:
    """The XML file that LabelImg writes for these boxes."""
    objects = "".join(
        "\t<object>\n\t\t<name>tire</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        "\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        f"\t\t\t<xmin>{b.xmin}</xmin>\n\t\t\t<ymin>{b.ymin}</ymin>\n"
        f"\t\t\t<xmax>{b.xmax}</xmax>\n\t\t\t<ymax>{b.ymax}</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n"
        for b in boxes
    )
    return (
        f"<annotation>\n\t<folder>images</folder>\n\t<filename>{escape(name)}</filename>\n"
        f"\t<path>C:\\Users\\annotator\\images\\{escape(name)}</path>\n"
        "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{SIZE[0]}</width>\n\t\t<height>{SIZE[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    ).encode()
