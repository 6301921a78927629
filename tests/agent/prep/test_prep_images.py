"""Image files of every kind: a JPEG that TensorFlow decodes, or one named finding."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from trainingrun_agent.prep import images
from trainingrun_agent.prep.annotation import UnusableError
from trainingrun_agent.prep.duplicates import MAX_DISTANCE
from voc_data import encoded, jpeg, picture

CLEAN = jpeg()
EXIF = Image.Exif()
EXIF[0x0112] = 6


def render(data: bytes, *, rotate: bool = False, max_side: int = 1024) -> images.Picture:
    with images.opened(data) as source:
        return images.render(source, rotate=rotate, max_side=max_side)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises this size and holds next to nothing."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def flipped(data: bytes, at: int) -> bytes:
    """With one byte inverted."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


KEPT = {
    "JPEG": CLEAN,
    "gray JPEG": encoded(picture(mode="L")),
    "progressive JPEG": encoded(picture(), progressive=True),
    "trailing garbage": CLEAN + b"garbage" * 10,
}


@pytest.mark.parametrize("data", KEPT.values(), ids=KEPT)
def test_clean_jpegs_stay_byte_for_byte(data: bytes) -> None:
    kept = render(data)
    assert (kept.data, kept.width, kept.height) == (data, 160, 120)


SIXTEEN_BIT = Image.frombytes("I;16", (160, 120), struct.pack("<H", 0x8000) * 160 * 120)
CONVERTED = {
    "CMYK JPEG": encoded(picture(mode="CMYK")),
    "RGB PNG": encoded(picture(), "PNG"),
    "gray PNG": encoded(picture(mode="L"), "PNG"),
    "RGBA PNG": encoded(picture(mode="RGBA"), "PNG"),
    "gray and alpha PNG": encoded(picture(mode="LA"), "PNG"),
    "palette PNG": encoded(picture(mode="P"), "PNG"),
    "transparent palette PNG": encoded(picture(mode="P"), "PNG", transparency=0),
    "1-bit PNG": encoded(picture(mode="1"), "PNG"),
    "16-bit PNG": encoded(SIXTEEN_BIT, "PNG"),
    "BMP": encoded(picture(), "BMP"),
    "8-bit gray BMP": encoded(picture(mode="L"), "BMP"),
    "GIF": encoded(picture(mode="P"), "GIF"),
    "animated GIF": encoded(picture(mode="P"), "GIF", save_all=True, append_images=[picture(mode="P", seed=1)]),
    "WebP": encoded(picture(), "WEBP"),
    "TIFF": encoded(picture(), "TIFF"),
    "16-bit TIFF": encoded(SIXTEEN_BIT, "TIFF"),
    "JPEG with EXIF rotation": encoded(picture(), exif=EXIF),
}


@pytest.mark.parametrize("data", CONVERTED.values(), ids=CONVERTED)
def test_everything_else_becomes_an_rgb_jpeg(data: bytes) -> None:
    made = render(data)
    with Image.open(io.BytesIO(made.data)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (160, 120))
        assert image.getexif().get(0x0112) is None
    assert (made.width, made.height) == (160, 120)


def test_sixteen_bits_keep_their_brightness() -> None:
    with Image.open(io.BytesIO(render(encoded(SIXTEEN_BIT, "PNG")).data)) as image:
        assert image.getpixel((80, 60)) == pytest.approx((127, 127, 127), abs=3)


def test_transparency_becomes_white() -> None:
    data = encoded(Image.new("RGBA", (40, 30), (255, 0, 0, 0)), "PNG")
    with Image.open(io.BytesIO(render(data).data)) as image:
        assert image.getpixel((20, 15)) == (255, 255, 255)


BAD = {
    "0 bytes": (b"", "ImageEmpty"),
    "HTML page": (b"<!DOCTYPE html><html>404</html>", "ImageUnreadable"),
    "JPEG without its last byte": (CLEAN[:-1], "ImageTruncated"),
    "JPEG without its last 2 bytes": (CLEAN[:-2], "ImageTruncated"),
    "JPEG cut at 60 %": (CLEAN[: len(CLEAN) * 6 // 10], "ImageTruncated"),
    "progressive JPEG cut": (encoded(picture(), progressive=True)[:-2], "ImageTruncated"),
    "PNG cut": (encoded(picture(), "PNG")[:-500], "ImageTruncated"),
    "PNG bomb by its header": (png_header(30_000, 30_000), "ImageTooLarge"),
    "PNG above the pixel limit": (png_header(12_000, 9_000), "ImageTooLarge"),
    "PNG above what other formats may have": (png_header(5_000, 5_000), "ImageTooLarge"),
    "PNG with next to no pixels": (png_header(4_000, 4_000), "ImageTruncated"),
    "float TIFF": (encoded(picture(mode="F"), "TIFF"), "ImageUnsupported"),
    "JPEG header only": (CLEAN[:20], "ImageUnreadable"),
    "PNG with a broken checksum": (flipped(encoded(picture(), "PNG"), 60), "ImageCorrupt"),
}


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD)
def test_what_cannot_be_decoded_is_named(data: bytes, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        render(data)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_long_images_are_scaled_down(kind: str) -> None:
    made = render(encoded(picture(1000, 500), kind), max_side=200)
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == (made.width, made.height) == (200, 100)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_rotation_is_what_pillow_shows(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.new("RGB", (80, 40))
    upright.paste((255, 0, 0), (0, 0, 20, 20))
    made = render(encoded(upright, quality=95, exif=exif), rotate=True)
    with Image.open(io.BytesIO(made.data)) as image:
        red = {(x, y) for x in (5, image.width - 6) for y in (5, image.height - 6) if image.getpixel((x, y))[0] > 128}
        right, bottom = image.width - 6, image.height - 6
        corner = {2: (right, 5), 3: (right, bottom), 4: (5, bottom), 5: (5, 5), 6: (right, 5)}
        corner |= {7: (right, bottom), 8: (5, bottom)}
        assert red == {corner[orientation]}
        assert image.size == ((40, 80) if orientation >= 5 else (80, 40))


def test_a_jpeg_without_its_end_is_found_whatever_the_decoder_makes_of_it() -> None:
    for seed in range(100):
        with pytest.raises(UnusableError, match="ImageTruncated"):
            render(jpeg(seed=seed)[:-2])


def look(data: bytes) -> int:
    return int.from_bytes(render(data).look, "big")


ALIKE: dict[str, Callable[[Image.Image], bytes]] = {
    "compressed more": lambda image: encoded(image, quality=30),
    "as PNG": lambda image: encoded(image, "PNG"),
    "scaled": lambda image: encoded(image.resize((640, 480))),
    "brighter": lambda image: encoded(image.point(lambda value: min(255, value + 12))),
}


@pytest.mark.parametrize("change", ALIKE.values(), ids=ALIKE)
def test_copies_look_alike_and_others_do_not(change: Callable[[Image.Image], bytes]) -> None:
    copies = [(look(change(picture(seed=seed))) ^ look(jpeg(seed=seed))).bit_count() for seed in range(20)]
    others = [(look(jpeg(seed=seed)) ^ look(jpeg(seed=seed + 1))).bit_count() for seed in range(20)]
    assert max(copies) <= MAX_DISTANCE < min(others)


def test_flat_images_look_like_nothing() -> None:
    assert render(encoded(Image.new("RGB", (160, 120), "gray"))).look == b""
