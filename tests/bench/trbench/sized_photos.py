"""Write labelled photos of several sizes: BCCD, or drawn photos, as they are, or enlarged and with grain.

Invariant: an enlarged photo has about 0.35 bytes a pixel at quality 90, as those of cameras and phones have; each has
different bytes, in a comment that decoders ignore.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from trbench.photos import BCCD, CLASSES, Photos, marked, originals
from trdemo.tires import draw_set

DISTINCT = 8
"""Different photos that are enlarged; the others are copies with another comment."""
QUALITY = 90
GRAIN = 9
"""Standard deviation of the noise, of 256 levels: without it, an enlarged photo is a tenth as long as a real one."""
COLUMNS, ROWS = 6, 5
"""The grid in which boxes are."""


@dataclass(frozen=True, slots=True)
class PhotoSize:
    """A size of photos in pixels, and how many of them are measured; those that are not `enlarged` are as they are."""

    name: str
    width: int
    height: int
    images: int
    enlarged: bool = True


SIZES = (
    PhotoSize("0.3 MP", 640, 480, 2000, enlarged=False),
    PhotoSize("2 MP", 1632, 1224, 300),
    PhotoSize("12 MP", 4000, 3000, 150),
)


def write_photos(size: PhotoSize, boxes: int, folder: Path) -> Photos:
    """Write photos of a size, each with a LabelImg file of so many boxes, into a folder that is made."""
    folder.mkdir()
    if size.enlarged:
        distinct = [_photo(image, size) for image in _originals()]
    else:
        distinct = [image for _, image, _ in originals()]
    total = 0
    for number in range(size.images):
        name = f"photo-{number:05d}"
        total += (folder / f"{name}.jpg").write_bytes(marked(distinct[number % len(distinct)], name))
        total += (folder / f"{name}.xml").write_bytes(_label(f"{name}.jpg", size, boxes, first=number))
    what = f"{size.images} photos of {size.width} x {size.height}, {total / size.images / 1e6:.2f} MB, {boxes} boxes"
    return Photos(folder, CLASSES, size.images, total, what)


def _originals() -> list[Image.Image]:
    paths = sorted((BCCD / "JPEGImages").glob("*.jpg"))
    if paths:
        return [Image.open(path).convert("RGB") for path in paths[:: len(paths) // DISTINCT][:DISTINCT]]
    return [Image.open(io.BytesIO(photo.jpeg)) for photo in draw_set(DISTINCT, seed=1, prefix="sized")]


def _photo(original: Image.Image, size: PhotoSize) -> bytes:
    pixels = (size.width, size.height)
    grain = Image.effect_noise(pixels, GRAIN)
    large = original.resize(pixels, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    ImageChops.add(large, Image.merge("RGB", (grain, grain, grain)), offset=-128).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _label(name: str, size: PhotoSize, boxes: int, *, first: int) -> bytes:
    """The XML file that LabelImg writes for boxes in a grid; `first` is the class of the first one."""
    width, height = size.width // COLUMNS, size.height // ROWS
    objects = []
    for number in range(boxes):
        left, top = number % COLUMNS * width, number // COLUMNS % ROWS * height
        objects.append(
            f"\t<object>\n\t\t<name>{CLASSES[(first + number) % len(CLASSES)]}</name>\n\t\t<pose>Unspecified</pose>\n"
            "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
            f"\t\t\t<xmin>{left + 1}</xmin>\n\t\t\t<ymin>{top + 1}</ymin>\n"
            f"\t\t\t<xmax>{left + width - 1}</xmax>\n\t\t\t<ymax>{top + height - 1}</ymax>\n"
            "\t\t</bndbox>\n\t</object>\n"
        )
    return (
        f"<annotation>\n\t<folder>images</folder>\n\t<filename>{name}</filename>\n\t<path>/images/{name}</path>\n"
        "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n\t<size>\n"
        f"\t\t<width>{size.width}</width>\n\t\t<height>{size.height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    ).encode()
