"""Image files of every kind: a JPEG that TensorFlow decodes, or one named finding."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from image_samples import BAD, CONVERTED, KEPT, SIXTEEN_BIT
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.judge.duplicates import MAX_DISTANCE
from trainingrun_agent.prep.model.annotation import UnusableError
from voc_data import encoded, jpeg, picture


def render(data: bytes, *, rotate: bool = False, max_side: int = 1024) -> images.Picture:
    with images.opened(data) as source:
        return images.render(source, rotate=rotate, max_side=max_side)


@pytest.mark.parametrize("data", KEPT.values(), ids=KEPT)
def test_clean_jpegs_stay_byte_for_byte(data: bytes) -> None:
    kept = render(data)
    assert (kept.data, kept.width, kept.height) == (data, 160, 120)


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


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD)
def test_an_image_that_cannot_be_decoded_gives_its_finding(data: bytes, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        render(data)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{caught.value.code}: ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_long_images_are_scaled_down(kind: str) -> None:
    made = render(encoded(picture(1000, 500), kind), max_side=200)
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == (made.width, made.height) == (200, 100)


TURNED: dict[str, Callable[[Image.Image, Image.Exif], bytes]] = {
    "JPEG": lambda image, exif: encoded(image, quality=95, exif=exif),
    "PNG": lambda image, exif: encoded(image, "PNG", exif=exif),
    "WebP": lambda image, exif: encoded(image, "WEBP", lossless=True, exif=exif),
    "TIFF": lambda image, exif: encoded(image, "TIFF", tiffinfo=dict(exif)),
    "compressed TIFF": lambda image, exif: encoded(image, "TIFF", tiffinfo=dict(exif), compression="tiff_lzw"),
    "16-bit TIFF": lambda image, exif: encoded(sixteen_bits(image), "TIFF", tiffinfo=dict(exif)),
    "TIFF of two pages": lambda image, exif: encoded(
        image, "TIFF", tiffinfo=dict(exif), save_all=True, append_images=[image]
    ),
}


def sixteen_bits(image: Image.Image) -> Image.Image:
    return image.getchannel("R").convert("I").point(lambda value: value * 257).convert("I;16")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("save", TURNED.values(), ids=TURNED)
def test_every_exif_rotation_is_applied_once_or_not_at_all(
    save: Callable[[Image.Image, Image.Exif], bytes], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (80, 40))
    stored.paste((255, 0, 0), (0, 0, 20, 20))
    data = save(stored, exif)
    assert bright_corner(data, rotate=False) == ((80, 40), {"left top"})
    corner = {1: "left top", 2: "right top", 3: "right bottom", 4: "left bottom", 5: "left top", 6: "right top"}
    corner |= {7: "right bottom", 8: "left bottom"}
    assert bright_corner(data, rotate=True) == ((40, 80) if orientation >= 5 else (80, 40), {corner[orientation]})


def bright_corner(data: bytes, *, rotate: bool) -> tuple[tuple[int, int], set[str]]:
    """Size and bright corners of the picture; the header has the size as stored."""
    with images.opened(data) as source:
        assert (source.head.width, source.head.height) == (80, 40)
    made = render(data, rotate=rotate)
    with Image.open(io.BytesIO(made.data)) as image:
        shown = image.convert("RGB")
    places = {"left": 5, "right": shown.width - 6, "top": 5, "bottom": shown.height - 6}
    corners = [(x, y) for x in ("left", "right") for y in ("top", "bottom")]
    lit = {f"{x} {y}" for x, y in corners if shown.getpixel((places[x], places[y]))[0] > 128}
    return (made.width, made.height), lit


def test_a_jpeg_without_its_end_is_found_even_if_the_decoder_accepts_it() -> None:
    for seed in range(100):
        with pytest.raises(UnusableError, match="ImageTruncated"):
            render(jpeg(seed=seed)[:-2])


def fingerprint(data: bytes) -> int:
    return int.from_bytes(render(data).look, "big")


ALIKE: dict[str, Callable[[Image.Image], bytes]] = {
    "compressed more": lambda image: encoded(image, quality=30),
    "as PNG": lambda image: encoded(image, "PNG"),
    "scaled": lambda image: encoded(image.resize((640, 480))),
    "brighter": lambda image: encoded(image.point(lambda value: min(255, value + 12))),
}


@pytest.mark.parametrize("change", ALIKE.values(), ids=ALIKE)
def test_only_copies_have_similar_fingerprints(change: Callable[[Image.Image], bytes]) -> None:
    copies = [
        (fingerprint(change(picture(seed=seed))) ^ fingerprint(jpeg(seed=seed))).bit_count() for seed in range(20)
    ]
    others = [(fingerprint(jpeg(seed=seed)) ^ fingerprint(jpeg(seed=seed + 1))).bit_count() for seed in range(20)]
    assert max(copies) <= MAX_DISTANCE < min(others)


def test_flat_images_have_no_fingerprint() -> None:
    assert render(encoded(Image.new("RGB", (160, 120), "gray"))).look == b""
