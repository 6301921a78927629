"""What becomes of each kind of image, by the values of its pixels: the table of docs/image-formats.md."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import pytest
from PIL import Image

from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.image.intensity import IntensityRange, Scaling
from voc_data import encoded

DOCUMENT = Path(__file__).parents[4] / "docs" / "image-formats.md"
SIZE, HALF = (40, 20), (20, 0, 40, 20)
SCALING = Scaling(IntensityRange(0, 1000), given=True)
RED, BLUE, WHITE, BLACK, GREEN = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (0, 200, 0)
DARK, LIGHT = (100, 100, 100), (200, 200, 200)
Colour = tuple[int, int, int]


def halves(mode: str, left: object, right: object) -> Image.Image:
    """An image of two colours."""
    image = Image.new(mode, SIZE, left)  # type: ignore[arg-type]
    image.paste(right, HALF)  # type: ignore[arg-type]
    return image


def palette() -> Image.Image:
    image = halves("P", 0, 1)
    image.putpalette([*RED, *GREEN])
    return image


def ycck() -> bytes:
    """Red, as Adobe stores it: libjpeg makes CMYK of YCCK, which Pillow inverts."""
    luma = Image.new("RGB", (1, 1), (0, 255, 255)).convert("YCbCr").getpixel((0, 0))
    assert isinstance(luma, tuple)
    data = encoded(Image.new("CMYK", SIZE, tuple(255 - value for value in (*luma, 255))))
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def bilevel(photometric: int) -> bytes:
    """A TIFF of 1 bit, left 1 and right 0."""
    data = b"\xff\xff\xf0\0\0" * SIZE[1]
    tags = [(256, 40), (257, 20), (258, 1), (259, 1), (262, photometric), (273, 110), (278, 20), (279, len(data))]
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + b"\0\0\0\0" + data


def several(kind: str, **options: object) -> bytes:
    first, second = Image.new("RGB", SIZE, RED), Image.new("RGB", SIZE, BLUE)
    return encoded(first, kind, save_all=True, append_images=[second], **options)


CMYK = halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 255))
GRAY = halves("L", 100, 200)
BECOMES: dict[str, list[tuple[bytes, Colour, Colour]]] = {
    "JPEG, RGB or gray": [
        (encoded(halves("RGB", RED, BLUE), quality=95), RED, BLUE),
        (encoded(GRAY, quality=95), DARK, LIGHT),
    ],
    "JPEG, CMYK": [(encoded(CMYK, quality=95), RED, BLACK)],
    "JPEG, YCCK": [(ycck(), RED, RED)],
    "TIFF, CMYK": [(encoded(CMYK, "TIFF"), RED, BLACK)],
    "TIFF, YCbCr or Lab": [
        (encoded(halves("RGB", RED, RED).convert("YCbCr"), "TIFF", compression="jpeg"), RED, RED),
        (encoded(halves("LAB", (255, 128, 128), (0, 128, 128)), "TIFF"), WHITE, BLACK),
    ],
    "gray": [(encoded(GRAY, kind), DARK, LIGHT) for kind in ("PNG", "BMP", "TIFF", "GIF", "WEBP")],
    "1 bit": [
        *((encoded(halves("1", 1, 0), kind), WHITE, BLACK) for kind in ("PNG", "BMP", "TIFF")),
        (encoded(halves("1", 1, 0), "TIFF", compression="group4"), WHITE, BLACK),
        (bilevel(1), WHITE, BLACK),
        (bilevel(0), BLACK, WHITE),
    ],
    "palette": [(encoded(palette(), kind), RED, GREEN) for kind in ("PNG", "GIF", "BMP", "TIFF")],
    "palette with transparency": [
        (encoded(palette(), "PNG", transparency=1), RED, WHITE),
        (encoded(palette(), "GIF", transparency=1), RED, WHITE),
        (encoded(palette(), "PNG", transparency=b"\xff\x80"), RED, (127, 227, 127)),
    ],
    "one transparent colour (PNG, gray or RGB)": [
        (encoded(GRAY, "PNG", transparency=200), DARK, WHITE),
        (encoded(halves("RGB", RED, GREEN), "PNG", transparency=GREEN), RED, WHITE),
    ],
    "alpha (RGBA, gray with alpha)": [
        *(
            (encoded(halves("RGBA", (*RED, 255), (*BLUE, 128)), kind, **options), RED, (127, 127, 255))
            for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}))
        ),
        (encoded(halves("LA", (100, 255), (0, 0)), "PNG"), DARK, WHITE),
        (encoded(halves("LA", (100, 255), (0, 0)), "TIFF"), DARK, WHITE),
    ],
    "animated GIF, WebP, PNG": [
        (several("GIF"), RED, RED),
        (several("WEBP", lossless=True), RED, RED),
        (several("PNG"), RED, RED),
    ],
    "TIFF of several pages": [(several("TIFF"), RED, RED)],
    "MPO (JPEG of stereo cameras and some phones)": [(several("MPO"), RED, RED)],
    "16 bits, gray or RGB": [(encoded(halves("I;16", 0, 1000), kind), BLACK, WHITE) for kind in ("PNG", "TIFF")],
    "32-bit integers": [(encoded(halves("I", -70_000, 70_000), "TIFF"), BLACK, WHITE)],
    "16 bits, zero is white": [(encoded(halves("I;16", 0, 1000), "TIFF", tiffinfo={262: 0}), WHITE, BLACK)],
    "floating-point pixels": [(encoded(halves("F", 0.0, 1000.0), "TIFF"), BLACK, WHITE)],
}
REFUSED = {"TIFF of 16-bit channels stored one after the other", "HEIC, AVIF, JPEG XL, JPEG 2000, camera raw"}
"""Rows without pixels; test_intensity.py and test_unread.py have them."""
ROWS = [
    pytest.param(*case, id=f"{row} {number}") for row, cases in BECOMES.items() for number, case in enumerate(cases)
]


def rendered(data: bytes) -> images.Picture:
    with images.opened(data) as source:
        return images.render(source, rotate=True, max_side=1024, scaling=SCALING)


@pytest.mark.parametrize(("data", "left", "right"), ROWS)
def test_each_kind_of_image_has_its_colours(data: bytes, left: Colour, right: Colour) -> None:
    with Image.open(io.BytesIO(rendered(data).data)) as image:
        shown = image.convert("RGB")
        assert image.format in ("JPEG", "MPO")
    assert [shown.getpixel((10, 10)), shown.getpixel((34, 10))] == [
        pytest.approx(left, abs=3),
        pytest.approx(right, abs=3),
    ]


def test_the_documentation_has_a_row_for_each_kind_and_no_other() -> None:
    table = re.findall(r"^\| (.+?) \| .+ \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert table == ["image", *BECOMES, *sorted(REFUSED, reverse=True)]


@pytest.mark.parametrize("row", ["JPEG, RGB or gray", "MPO (JPEG of stereo cameras and some phones)"])
def test_a_jpeg_stays_byte_for_byte(row: str) -> None:
    assert all(rendered(data).data == data for data, *_ in BECOMES[row])


ANIMATED = {"animated GIF, WebP, PNG", "TIFF of several pages"}


def test_only_files_of_several_frames_are_told_as_animated() -> None:
    told = {row for row, cases in BECOMES.items() if any(animated(data) for data, *_ in cases)}
    assert told == ANIMATED
    assert all(animated(data) for row in ANIMATED for data, *_ in BECOMES[row])


def animated(data: bytes) -> bool:
    with images.opened(data) as source:
        return source.head.animated
