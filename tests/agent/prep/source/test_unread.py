"""Images in formats that are not read are seen and named, and disturb no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from label_samples import coco
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.source.unread_formats import format_of
from voc_data import jpeg, voc

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    made = Preparation(tmp_path, eval=None)
    for number in range(3):
        made.add(f"t{number}")
    return made


def found(prep: Preparation) -> list[tuple[str, str, str]]:
    """Code, file and text of each finding."""
    return [(one["code"], one["file"], seen(one)) for one in prep.document("report.json")["findings"]]


def refusal(prep: Preparation) -> UserError:
    with pytest.raises(UserError) as caught:
        prep.run()
    return caught.value


@pytest.mark.parametrize(
    ("name", "labels", "format_"),
    [
        ("a.heic", "a.xml", "HEIC"),
        ("A.HEIC", "a.xml", "HEIC"),
        ("a.heic", "a.heic.xml", "HEIC"),
        ("photos/a.avif", "labels/a.xml", "AVIF"),
        ("a.CR2", "a.xml", "camera raw"),
        ("a.dng", "a.xml", "camera raw"),
        ("a.jxl", "a.xml", "JPEG XL"),
    ],
)
def test_labels_of_an_image_that_is_not_read_name_it(prep: Preparation, name: str, labels: str, format_: str) -> None:
    prep.memory.objects |= {f"train/{name}": b"", f"train/{labels}": voc()}
    assert refusal(prep).reason == "TooManyBadFiles"
    text = f"its image {name} is {format_}, which is not read"
    assert found(prep) == [("ImageFormatNotRead", labels, text)]


def test_an_image_that_is_listed_and_not_read_is_named(prep: Preparation) -> None:
    prep.memory.objects = {
        "train/a.jpg": jpeg(128, 64),
        "train/labels.json": str(coco({"bbox": [10, 20, 50, 40]})).replace("'", '"').encode(),
    }
    prep.memory.objects["train/a.heic"] = prep.memory.objects.pop("train/a.jpg")
    prep.set_format("coco")
    error = refusal(prep)
    assert error.reason == "EmptyTrainSet"
    assert [code for code, _, _ in found(prep)] == ["ImageFormatNotRead"]


def test_a_heic_under_the_name_of_a_jpeg_is_named(prep: Preparation) -> None:
    prep.add("phone", HEIC)
    refusal(prep)
    assert found(prep) == [("ImageFormatNotRead", "phone.jpg", "the content is HEIC, which is not read")]


def test_originals_beside_their_jpegs_are_not_told(prep: Preparation) -> None:
    alone = prep.run()
    before = prep.blobs()
    prep.memory.objects |= {f"train/{name}": HEIC for name in ("t0.heic", "t1.CR2", "raw/t2.nef", ".trash/x.heic")}
    beside = prep.run()
    assert (beside.train_images, beside.numbers["warnings"]) == (alone.train_images, 0)
    assert prep.blobs() == before


def test_other_originals_are_one_warning_with_their_number(prep: Preparation) -> None:
    prep.memory.objects |= {f"train/raw/{number}.nef": b"MM" for number in range(40)}
    prep.memory.objects["train/phone.heic"] = HEIC
    assert prep.run().numbers["warnings"] == 1
    text = "41 images are in a format that is not read (1 HEIC, 40 camera raw), such as phone.heic"
    assert found(prep) == [("ImagesLeftOut", "", text)]


def test_a_folder_of_nothing_else_says_so_in_the_message(tmp_path: Path) -> None:
    prep = Preparation(tmp_path, eval=None)
    prep.memory.objects = {"train/a.avif": b"", "train/a.txt": b"0 0.5 0.5 0.2 0.2\n"}
    error = refusal(prep)
    assert error.reason == "EmptyTrainSet"
    assert error.message.startswith("spec.dataset.train: no image file in a format that is read")
    assert error.hint.startswith("Convert the images to JPEG or PNG")
    assert "1 image is in a format that is not read (1 AVIF), such as a.avif" in str(error)


@pytest.mark.parametrize(
    ("start", "format_"),
    [
        (HEIC, "HEIC"),
        (b"\0\0\0\x1cftypmif1", "HEIC"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x18ftypcrx ", "camera raw"),
        (b"\xff\x0a\xff", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"\0\0\0\x18ftypmp42", ""),
        (b"<!DOCTYPE html>", ""),
        (b"", ""),
    ],
)
def test_the_content_tells_the_format(start: bytes, format_: str) -> None:
    assert format_of(start) == format_


def test_every_format_by_suffix_is_described(prep: Preparation) -> None:
    kinds: dict[str, Any] = {"train/a.hif": b"", "train/b.j2k": b"", "train/c.rw2": b""}
    prep.memory.objects |= kinds
    prep.run()
    [(_, _, text)] = found(prep)
    assert "(1 HEIC, 1 JPEG 2000, 1 camera raw)" in text
