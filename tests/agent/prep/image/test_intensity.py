"""Images of more than 8 bits: every value becomes the gray level that its range says."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.image.intensity import FULL, IntensityRange, Scaling, range_of, used
from trainingrun_agent.prep.model.annotation import UnusableError
from voc_data import encoded

FOURTEEN = IntensityRange(0, 16383)
RED, GREEN, BLUE = 0x1234, 0x3678, 0x0102
SIZE = 40, 30


def png(colour_type: int, *values: int) -> bytes:
    """A 16-bit PNG of one colour."""
    width, height = SIZE
    row = b"\0" + struct.pack(f">{len(values) * width}H", *values * width)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(row * height), b"IEND")
    parts = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rgb_tiff(order: str, *, compressed: bool = False, apart: bool = False) -> bytes:
    """A TIFF of 3 x 16 bits of one colour in this byte order, with channels beside each other or `apart`."""
    width, height = SIZE
    pixels = struct.pack(f"{order}3H", RED, GREEN, BLUE) * width * height
    data = zlib.compress(pixels) if compressed else pixels
    third = len(data) // 3
    count = 3 if apart else 1
    bits_at = 8 + 2 + 12 * 10 + 4
    starts_at, sizes_at, data_at = bits_at + 6, bits_at + 18, bits_at + 30
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 8 if compressed else 1),
        (262, 3, 1, 2),
        (273, 4, count, starts_at if apart else data_at),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, count, sizes_at if apart else len(data)),
        (284, 3, 1, 2 if apart else 1),
    ]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}LH", 8, len(entries))
    packed = [
        struct.pack(f"{order}HHL", *entry[:3]) + struct.pack(f"{order}{'HH' if short else 'L'}", *values)
        for entry in entries
        for short in [entry[1:3] == (3, 1)]
        for values in [(entry[3], 0) if short else (entry[3],)]
    ]
    tail = struct.pack(f"{order}L3H", 0, 16, 16, 16)
    tail += struct.pack(f"{order}6L", *(data_at + third * part for part in range(3)), *[third] * 3)
    return head + b"".join(packed) + tail + data


def gray(mode: str, value: float, kind: str = "TIFF", **options: object) -> bytes:
    return encoded(Image.new(mode, SIZE, value), kind, **options)


def shown(data: bytes, range_: IntensityRange = FOURTEEN, *, given: bool = False) -> tuple[int, ...]:
    """The colour in the middle of the picture that is trained."""
    with images.opened(data) as source:
        made = images.render(source, rotate=False, max_side=1024, scaling=Scaling(range_, given=given))
    with Image.open(io.BytesIO(made.data)) as image:
        pixel = image.getpixel((20, 15))
    assert isinstance(pixel, tuple)
    return pixel


IN_14_BITS = (72, 217, 4)
"""RED, GREEN and BLUE as parts of 16383, of 255."""
SCALED = {
    "gray PNG": (png(0, RED), (72, 72, 72)),
    "RGB PNG": (png(2, RED, GREEN, BLUE), IN_14_BITS),
    "RGB PNG, opaque": (png(6, RED, GREEN, BLUE, 0xFFFF), IN_14_BITS),
    "RGB PNG, transparent": (png(6, RED, GREEN, BLUE, 0), (255, 255, 255)),
    "gray PNG, opaque": (png(4, RED, 0xFFFF), (72, 72, 72)),
    "gray PNG, half transparent": (png(4, RED, 0x8000), (163, 163, 163)),
    "TIFF": (gray("I;16", RED), (72, 72, 72)),
    "TIFF of the other byte order": (gray("I;16B", RED), (72, 72, 72)),
    "compressed TIFF": (gray("I;16", RED, compression="tiff_lzw"), (72, 72, 72)),
    "TIFF whose zero is white": (gray("I;16", RED, tiffinfo={262: 0}), (183, 183, 183)),
    "32-bit TIFF": (gray("I", RED), (72, 72, 72)),
    "RGB TIFF": (rgb_tiff("<"), IN_14_BITS),
    "RGB TIFF of the other byte order": (rgb_tiff(">"), IN_14_BITS),
    "compressed RGB TIFF": (rgb_tiff("<", compressed=True), IN_14_BITS),
    "compressed RGB TIFF of the other byte order": (rgb_tiff(">", compressed=True), IN_14_BITS),
}


@pytest.mark.parametrize(("data", "colour"), SCALED.values(), ids=SCALED)
def test_14_bits_in_16_are_not_dark(data: bytes, colour: tuple[int, ...]) -> None:
    assert shown(data) == pytest.approx(colour, abs=2)


@pytest.mark.parametrize("value", [0, 256, 0x7FFF, 0x8000, 0xFFFF])
def test_full_16_bits_keep_their_brightness(value: int) -> None:
    assert shown(png(0, value), FULL) == (value // 257,) * 3
    assert shown(png(2, value, value, value), FULL) == (value // 257,) * 3


@pytest.mark.parametrize(("value", "level"), [(-900, 0), (-500, 0), (0, 63), (1500, 255), (99_999, 255)])
def test_values_outside_of_the_range_are_black_and_white(value: int, level: int) -> None:
    assert shown(gray("I", value), IntensityRange(-500, 1500)) == (level,) * 3


def test_floating_point_pixels_need_a_range_that_is_given() -> None:
    data = gray("F", 295.15)
    assert shown(data, IntensityRange(270, 320), given=True) == (128,) * 3
    with pytest.raises(UnusableError, match="ImageUnsupported: floating-point pixels"):
        shown(data, IntensityRange(270, 320))


def test_values_that_are_no_numbers_are_not_counted() -> None:
    image = Image.new("F", SIZE, 300)
    image.paste(float("nan"), (0, 0, 20, 30))
    image.paste(float("inf"), (20, 0, 21, 30))
    with images.opened(encoded(image, "TIFF")) as source:
        assert set(images.values_of(source)) == {300}


@pytest.mark.parametrize("order", "<>")
def test_channels_that_pillow_would_misread_are_refused(order: str) -> None:
    with pytest.raises(UnusableError, match="ImageUnsupported: a TIFF whose 16-bit channels are stored one after"):
        shown(rgb_tiff(order, apart=True))


def test_a_tiff_of_other_bits_is_no_file_that_is_no_image() -> None:
    ten_bits = rgb_tiff("<").replace(struct.pack("<3H", 16, 16, 16), struct.pack("<3H", 10, 10, 10))
    with pytest.raises(UnusableError, match="ImageUnsupported: a TIFF whose kind of pixels is not read"):
        shown(ten_bits)


def test_a_range_leaves_out_few_values_and_all_16_bits_stay_all() -> None:
    hot = [*range(1000, 15_000), *[65_535] * 10]
    assert range_of([]) is None
    assert range_of([hot]) == range_of([hot[7000:], hot[:7000]]) == IntensityRange(1014, 14_995)
    assert range_of([range(300, 60_000)]) == FULL
    assert range_of([[7] * 100]) == FULL
    assert range_of([range(1 << 20)]) == IntensityRange(1049, (1 << 20) - 1050)


def test_the_part_outside_of_the_range_is_counted() -> None:
    assert used(sorted(range(100)), IntensityRange(10, 89)).outside == pytest.approx(0.2)
    assert used([], FULL) == (0, 0, 0)


def test_other_images_do_not_depend_on_the_range() -> None:
    data = encoded(Image.new("L", SIZE, 77), "PNG")
    assert shown(data) == shown(data, FULL) == (77, 77, 77)
