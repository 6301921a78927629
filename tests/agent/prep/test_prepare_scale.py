"""Memory does not grow with the number of images, and large images do not add up."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from prep_in_memory import Preparation
from voc_data import encoded, jpeg, voc


def peak_of(prep: Preparation) -> int:
    """The most bytes that Python allocated during the preparation."""
    # Python looks for garbage the less often the more objects live: those of earlier tests must not count.
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        prep.run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def filled(folder: Path, count: int, image: bytes) -> Preparation:
    folder.mkdir()
    prep = Preparation(folder)
    for index in range(count):
        prep.add(f"{index:05d}", image)
    prep.add("e", split="eval")
    return prep


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = jpeg() + bytes(50_000)
    small, large = filled(tmp_path / "small", 800, image), filled(tmp_path / "large", 3000, image)
    for prep in (small, large):
        # Uploads stream; the store in memory must not be what is measured.
        monkeypatch.setattr(prep.memory, "upload", lambda _key, file, **_: digest_of(file))
    few, many = peak_of(small), peak_of(large)
    assert many < few + 2200 * 2_000, f"{few} bytes for 800 images, {many} for 3000"


def digest_of(file: object) -> str:
    """SHA-256 of a file, in pieces."""
    import hashlib

    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def test_images_of_many_pixels_wait_for_each_other(tmp_path: Path) -> None:
    size = (4000, 3000)
    data = encoded(Image.new("RGB", size), "PNG")
    prep = filled(tmp_path / "prep", 6, data)
    for index in range(6):
        prep.memory.objects[f"train/{index:05d}.xml"] = voc(size=size)
    prep.max_image_side = 256
    assert prep.run().train_images == 6
