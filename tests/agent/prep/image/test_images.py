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


@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_exif_rotation_is_applied(orientation: int) -> None:
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
