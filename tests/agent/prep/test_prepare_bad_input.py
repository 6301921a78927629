"""Bad files of many kinds in one data set: each is named, none stops the rest, in memory and over HTTP."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

import image_samples
import voc_samples
from prep_in_memory import Preparation
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.storage.s3 import S3Store
from voc_data import HEIGHT, WIDTH, jpeg, labelled, voc


def bmp_header(width: int, height: int) -> bytes:
    """A BMP whose header states this size, without any pixels."""
    return struct.pack("<2sIIIIiiHHIIIIII", b"BM", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


USABLE = {
    **{f"image/{name}": (data, voc()) for name, data in (image_samples.KEPT | image_samples.CONVERTED).items()},
    **{f"labels/{name}": (jpeg(seed=name), data) for name, data in voc_samples.GOOD.items()},
}
MENDED = {
    "box 5 % beyond the right edge": ([labelled(box=(10, 20, 168, 80))], "BoxClipped"),
    "box half outside": ([labelled(box=(100, 20, 240, 80))], "BoxClipped"),
    "box wholly outside": ([labelled(), labelled(box=(200, 20, 240, 80))], "BoxOutside"),
    "corners swapped": ([labelled(box=(60, 80, 10, 20))], "BoxSwapped"),
    "no width": ([labelled(), labelled(box=(10, 20, 10, 80))], "BoxDegenerate"),
    "a tenth of a pixel wide": ([labelled(), labelled(box=(10, 20, 10.1, 80))], "BoxDegenerate"),
    "negative corner": ([labelled(box=(-5, 20, 60, 80))], "BoxClipped"),
}
BAD_IMAGES = {
    **image_samples.BAD,
    "1 byte": (b"\xff", "ImageUnreadable"),
    "30,000 x 30,000 pixels in a BMP": (bmp_header(30_000, 30_000), "ImageTooLarge"),
    "JPEG of another size than labelled": (jpeg(WIDTH + 1, HEIGHT), "SizeMismatch"),
    "JPEG turned after labelling": (jpeg(HEIGHT, WIDTH), "SizeTransposed"),
}
SIZED = dict.fromkeys(("JPEG of another size than labelled", "JPEG turned after labelling"), (WIDTH, HEIGHT))
"""Sizes in labels, by image; the labels of all other images state none, so that the image itself is checked."""
BAD_LABELS = {
    **voc_samples.BAD,
    "far too large": (voc_samples.BAD["far too large"][0], "FileTooLarge"),  # by its size in the listing
    "1 byte": (b"<", "AnnotationMalformed"),
    "class in another case": (voc([labelled("Tire")]), "ClassSpelling"),
    "class with a blank and another letter": (voc([labelled("tires x")]), "UnknownClass"),
    "shares of the image": (voc([labelled(box=(0.1, 0.2, 0.5, 0.9))]), "BoxNormalised"),
}


def path(name: str) -> str:
    """The name of a case as a file name."""
    return name.replace("%", "percent").replace("<", "(").replace(">", ")")


def fill(prep: Preparation) -> None:
    """Store all cases in one data set."""
    for name, (image, xml) in USABLE.items():
        prep.add(path(f"usable/{name}"), image, xml)
    for name, (objects, _) in MENDED.items():
        prep.add(path(f"mended/{name}"), xml=voc(objects))
    for name, (image, _) in BAD_IMAGES.items():
        prep.add(path(f"image/{name}"), image, voc(size=SIZED.get(name)))
    for name, (xml, _) in BAD_LABELS.items():
        prep.add(path(f"labels/{name}"), xml=xml)
    prep.add("many", xml=voc([labelled(box=(10, 20, 60, 80 + number / 8)) for number in range(150)]))
    prep.add("e0", split="eval")
    prep.max_bad_files = "90%"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report, and the prepared data set as `made`."""
    prep = Preparation(tmp_path_factory.mktemp("scratch"))
    fill(prep)
    made = prep.run()
    return {**prep.document("report.json"), "made": made}


def codes(report: dict[str, Any], file: str) -> set[str]:
    """Codes of the findings about a file."""
    return {finding["code"] for finding in report["findings"] if finding["file"] == path(file)}


def test_everything_usable_is_used(report: dict[str, Any]) -> None:
    assert report["made"].train_images == len(USABLE) + len(MENDED) + 1
    assert report["errors"] == len(BAD_IMAGES) + len(BAD_LABELS)
    assert report["made"].max_boxes_per_image == 150


@pytest.mark.parametrize("name", USABLE)
def test_usable(report: dict[str, Any], name: str) -> None:
    found = codes(report, f"usable/{name}.jpg") | codes(report, f"usable/{name}.xml")
    assert found <= {"FormatMismatch", "ImageAnimated"}


@pytest.mark.parametrize("name", MENDED)
def test_mended(report: dict[str, Any], name: str) -> None:
    assert codes(report, f"mended/{name}.xml") == {MENDED[name][1]}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_image(report: dict[str, Any], name: str) -> None:
    assert codes(report, f"image/{name}.jpg") == {BAD_IMAGES[name][1]}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels(report: dict[str, Any], name: str) -> None:
    assert codes(report, f"labels/{name}.xml") == {BAD_LABELS[name][1]}


def test_the_same_with_an_s3_server(
    report: dict[str, Any], prep: Preparation, s3_config: AgentConfig, s3_store: S3Store
) -> None:
    prep.memory.objects.clear()
    fill(prep)
    for key, data in prep.memory.objects.items():
        s3_store.put(key, data)
    prep.store = s3_store
    made = prep.run()
    assert made.train_images == report["made"].train_images
    from_s3 = json.loads(s3_store.get(f"ml/datasets/{made.digest}/report.json", max_bytes=4 << 20))
    assert from_s3["findings"] == report["findings"]
