"""Data sets with images of more than 8 bits: one range for all of them, which new images do not move."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from image_samples import deep
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep import scaling
from trainingrun_agent.prep.image import sampling
from voc_data import encoded, jpeg, picture, voc

RANGE = [410, 15_853]
"""Without a thousandth of the values at either end."""


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    """Four images for training and one for evaluation, of which a camera of 14 bits used the values 200 to 16000."""
    made = Preparation(tmp_path)
    for name in ("train/t0", "train/t1", "train/t2", "train/t3", "eval/e0"):
        add(made, name, deep(200, 16_000, seed=name))
    return made


def add(prep: Preparation, name: str, image: Image.Image, kind: str = "PNG") -> None:
    prep.memory.objects |= {f"{name}.{kind.lower()}": encoded(image, kind), f"{name}.xml": voc()}


def pictures(prep: Preparation) -> Iterator[Image.Image]:
    """The pictures in all shards."""
    for data in prep.blobs().values():
        at = 0
        while (at := data.find(b"\xff\xd8\xff", at + 1)) >= 0:
            with Image.open(io.BytesIO(data[at:])) as image:
                yield image.convert("L")


def scaled(prep: Preparation) -> list[str]:
    """What the report says about ranges."""
    return [seen(one) for one in prep.document("report.json")["findings"] if one["code"] == "IntensityScaled"]


def test_a_camera_of_14_bits_gives_pictures_from_black_to_white(prep: Preparation) -> None:
    prep.run()
    extremes = [image.getextrema() for image in pictures(prep)]
    assert len(extremes) == 5
    assert all(low < 20 and high > 235 for low, high in extremes)
    assert prep.document("MANIFEST.json")["dataset"]["intensityRange"] == RANGE
    assert prep.document("report.json")["intensityRange"] == RANGE
    assert scaled(prep) == [
        "images have more than 8 bits; values from 410 to 15853, which they use, become black to white"
    ]
    page = next(data.decode() for key, data in prep.memory.objects.items() if key.endswith("report.html"))
    assert "<dt>Images of more than 8 bits</dt><dd>410 is black, 15853 is white</dd>" in page
    assert prep.codes() == {"IntensityScaled": 1}


def test_new_images_do_not_move_the_range_or_change_old_records(prep: Preparation) -> None:
    prep.run()
    before = {image.tobytes() for image in pictures(prep)}
    add(prep, "train/t4", deep(0, 40_000, seed="bright"))
    made = prep.run()
    assert json.loads(prep.memory.objects[made.manifest_key])["dataset"]["intensityRange"] == RANGE
    after = {image.tobytes() for image in pictures(prep)}
    assert len(before) == 5
    assert after > before


def test_the_range_of_an_interrupted_preparation_is_used_again(prep: Preparation) -> None:
    first = prep.run()
    latest = next(key for key in prep.memory.objects if "/latest/" in key)
    prep.memory.objects[latest.replace("/latest/", "/unfinished/")] = prep.memory.objects.pop(latest)
    del prep.memory.objects[first.manifest_key]
    prep.memory.objects |= {"train/t9.png": encoded(deep(0, 30_000), "PNG"), "train/t9.xml": voc()}
    prep.run()
    assert prep.document("MANIFEST.json")["dataset"]["intensityRange"] == RANGE


def test_the_same_images_give_the_same_data_set_in_any_order_and_bucket(prep: Preparation, tmp_path: Path) -> None:
    other = Preparation(tmp_path)
    other.memory.objects |= dict(reversed(prep.memory.objects.items()))
    assert prep.run().digest == other.run().digest
    assert prep.blobs() == other.blobs()


def test_an_unchanged_data_set_is_used_again_without_a_look_at_its_images(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prep.run()
    monkeypatch.setattr(scaling, "sampled_range", None)
    again = prep.run()
    assert (again.digest, again.reused) == (first.digest, True)


def test_a_given_range_holds_also_for_floating_point_pixels(prep: Preparation) -> None:
    prep.intensity_range = (0, 16_383)
    add(prep, "train/f", deep(0, 16_383).convert("I").convert("F"), "TIFF")
    prep.run()
    assert prep.document("MANIFEST.json")["dataset"]["intensityRange"] == [0, 16_383]
    assert scaled(prep) == ["values from 0 to 16383 become black to white, as spec.dataset.intensityRange says"]
    assert prep.codes() == {"IntensityScaled": 1}


def test_images_outside_of_the_range_are_told(prep: Preparation) -> None:
    add(prep, "train/hot", deep(10_000, 60_000, seed="hot"))
    add(prep, "train/cold", deep(200, 1_000, seed="cold"))
    prep.intensity_range = (200, 16_000)
    prep.run()
    told = {one["file"]: seen(one) for one in prep.document("report.json")["findings"] if one["severity"] == "warning"}
    assert told.keys() == {"hot.png", "cold.png"}
    assert told["hot.png"].endswith("% of the pixels are outside of the values 200 to 16000, and become black or white")
    assert told["cold.png"].startswith("its values are from 219 to 988, a small part of black to white, 200 to 16000")


def test_14_bits_that_nothing_said_anything_of_are_told_as_dark(tmp_path: Path) -> None:
    """The image is a PNG under another name, so that it is not among those that are looked at."""
    prep = Preparation(tmp_path)
    prep.add("t0", encoded(deep(), "PNG"))
    prep.add("e0", split="eval")
    prep.run()
    assert prep.codes() == {"FormatMismatch": 1, "IntensityOutside": 1}


def test_8_bits_need_no_range_and_only_the_beginning_of_a_png_is_read_for_it(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train/t0", "train/t1", "train/t2", "train/t3", "eval/e0"):
        add(prep, name, picture(seed=name))
    prep.memory.objects["train/b.jpg"], prep.memory.objects["train/b.xml"] = jpeg(), voc()
    monkeypatch.setattr(sampling, "fetch", None)
    assert "intensityRange" not in prep.run().numbers
    assert "intensityRange" not in prep.document("MANIFEST.json")["dataset"]
    assert prep.codes() == {}


def test_images_that_cannot_be_read_are_left_out_of_the_range_and_told_later(prep: Preparation) -> None:
    broken = encoded(deep(0, 60_000), "PNG")
    prep.memory.objects |= {"train/t9.png": broken[: len(broken) // 2], "train/t9.xml": voc()}
    prep.memory.objects |= {"train/t8.tif": b"", "train/t8.xml": voc()}
    with pytest.raises(UserError):
        prep.run()
    report = prep.document("report.json")
    assert report["intensityRange"] == RANGE
    assert report["counts"] == {"ImageEmpty": 1, "ImageTruncated": 1, "IntensityScaled": 1}
