"""Headers of image files that would take memory or time without bound: refused, or read without what is harmful."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from PIL import Image, ImageFile

import image_bombs
from trainingrun_agent.prep.image import headers, images
from trainingrun_agent.prep.model.annotation import UnusableError
from voc_data import encoded, picture

# Pillow warns about the EXIF that it ignores.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def rendered(data: bytes) -> images.Picture:
    with images.opened(data) as source:
        return images.render(source, rotate=True, max_side=1024)


@pytest.mark.parametrize(("make", "finding"), image_bombs.REFUSED.values(), ids=image_bombs.REFUSED)
def test_an_image_that_would_fill_the_memory_is_refused(make: Callable[[], bytes], finding: str) -> None:
    with pytest.raises(UnusableError, match=finding):
        rendered(make())


@pytest.mark.parametrize("make", image_bombs.READ.values(), ids=image_bombs.READ)
def test_an_image_whose_exif_would_fill_the_memory_is_read_without_it(
    make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = ImageFile._safe_read
    monkeypatch.setattr(ImageFile, "_safe_read", lambda fp, size: (read.append(size), original(fp, size))[1])
    made = rendered(make())
    assert (made.width, made.height) == image_bombs.SMALL
    assert sum(read) < 2 * len(make())


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
def test_a_tile_is_measured_in_both_byte_orders(order: str) -> None:
    entries = [(tag, 3, 1, 30_000 if order == "<" else 30_000 << 16) for tag in (322, 323)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8)
    data = head + struct.pack(f"{order}H", 2) + b"".join(struct.pack(f"{order}HHLL", *each) for each in entries)
    with pytest.raises(UnusableError, match="its tiles have more than 20 million pixels"):
        rendered(data + bytes(4))


def test_exif_that_is_cut_still_gives_its_orientation() -> None:
    """Software that edits photos leaves maker notes whose end is missing."""
    entries = image_bombs.directory((0x0112, 3, 1, 6), (0x927C, 7, 5000, 40))
    data = image_bombs.after_head(image_bombs.JPEG, image_bombs.segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + entries))
    with images.opened(data) as source:
        assert source.head.orientation == 6


LONG = {
    "JPEG": encoded(Image.new("L", (65_000, 2), "gray")),
    "PNG": encoded(Image.new("L", (2, 65_000), "gray"), "PNG"),
}


@pytest.mark.parametrize("data", LONG.values(), ids=LONG)
def test_a_panorama_is_used(data: bytes) -> None:
    made = rendered(data)
    assert max(made.width, made.height) == 1024


@pytest.mark.parametrize(
    ("data", "apart"),
    [
        (encoded(picture()), False),
        (encoded(picture(mode="L")), False),
        (image_bombs.scan_of_one_component(24, 18), True),
        (b"\xff\xd8\xff", False),
        (b"\xff\xd8\xff\xc0", False),
        (b"\xff\xd8junk\xff\xff\x01" + image_bombs.scan_of_one_component(24, 18)[2:], True),
        (encoded(picture(), "PNG"), False),
    ],
    ids=["one scan", "gray", "a scan for each component", "cut", "cut in its frame", "bytes between markers", "PNG"],
)
def test_scans_of_single_components_are_noticed(data: bytes, apart: bool) -> None:
    assert headers.scans_apart(data) is apart
