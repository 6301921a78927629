"""The same pictures labelled in each format give the same records, and each format is recognised."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from label_sets import CLASSES, HEIGHT, SETS, WIDTH, images
from prep_in_memory import Preparation
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.source.readers import FORMATS
from trainingrun_agent.storage.s3 import S3Store
from voc_data import encoded, jpeg, picture


def stored(prep: Preparation, name: str) -> str:
    """Store the named label set in both splits; returns its format."""
    format_, write = SETS[name]
    prep.memory.objects = {
        f"{split}/{path}": data
        for split in ("train", "eval")
        for path, data in {**images(split=split), **write()}.items()
    }
    prep.classes = CLASSES
    return format_


@pytest.fixture
def voc_results(prep: Preparation) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Records and report of the PascalVOC label set."""
    stored(prep, "pascalVOC")
    prep.run()
    return prep.blobs(), prep.document("report.json")


@pytest.mark.parametrize("asked", ["auto", "by name"])
@pytest.mark.parametrize("name", SETS)
def test_every_format_gives_the_records_of_pascal_voc(
    prep: Preparation,
    voc_results: tuple[dict[str, bytes], dict[str, Any]],
    contract: Callable[[str, Any], None],
    name: str,
    asked: str,
) -> None:
    blobs, voc_report = voc_results
    format_ = stored(prep, name)
    prep.set_format(asked if asked == "auto" else format_)
    made = prep.run()
    report = prep.document("report.json")
    contract("report", report)
    assert report["counts"] == {}
    assert report["splits"] == {
        split: {**numbers, "format": format_} for split, numbers in voc_report["splits"].items()
    }
    assert prep.blobs() == blobs
    assert made.numbers["format"] == format_
    assert prep.progress.snapshot()["format"] == format_
    assert list(prep.scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_works_with_an_s3_server(prep: Preparation, s3_config: AgentConfig, s3_store: S3Store, name: str) -> None:
    stored(prep, name)
    for key, data in prep.memory.objects.items():
        s3_store.put(key, data)
    expected = prep.run()
    prep.store = s3_store
    made = prep.run()
    counts = ("format", "trainImages", "trainObjects", "evalObjects", "errors", "warnings")
    assert {count: made.numbers[count] for count in counts} == {count: expected.numbers[count] for count in counts}
    assert prep.run().reused


def test_every_format_has_a_set() -> None:
    assert {format_ for format_, _ in SETS.values()} == set(FORMATS)


def test_train_and_eval_may_have_different_formats(prep: Preparation) -> None:
    stored(prep, "coco")
    coco = {key: data for key, data in prep.memory.objects.items() if key.startswith("train/")}
    stored(prep, "yolo")
    prep.memory.objects = {key: data for key, data in prep.memory.objects.items() if key.startswith("eval/")} | coco
    assert prep.run().numbers["format"] == "coco (train), yolo (eval)"


EXIF = Image.Exif()
EXIF[0x0112] = 6
UPRIGHT = "a.jpg,64,128,tire,16,32,48,64\n"
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
VIA_BOX = {"name": "rect", "x": 16, "y": 32, "width": 32, "height": 32}
VIA_FILE = {
    "k": {"filename": "a.jpg", "regions": [{"shape_attributes": VIA_BOX, "region_attributes": {"part": "tire"}}]}
}
ROTATED: dict[str, tuple[str, str, dict[str, int]]] = {
    "size of the upright image": ("a.csv", HEADER + UPRIGHT, {}),
    "relative coordinates, no size": ("a.txt", "0 0.5 0.375 0.5 0.25", {"OrientationAmbiguous": 1}),
    "pixels, no size": ("a.via.json", json.dumps(VIA_FILE), {"OrientationAmbiguous": 1}),
}


def turned(seed: str) -> bytes:
    """A JPEG stored as 128 x 64 pixels and shown as 64 x 128."""
    return encoded(picture(WIDTH, HEIGHT, seed=seed), exif=EXIF)


@pytest.mark.parametrize(("file", "text", "counts"), ROTATED.values(), ids=ROTATED)
def test_labels_of_an_image_that_exif_turns(prep: Preparation, file: str, text: str, counts: dict[str, int]) -> None:
    prep.memory.objects = {f"{split}/a.jpg": turned(split) for split in ("train", "eval")}
    prep.memory.objects |= {f"{split}/{file}": text.encode() for split in ("train", "eval")}
    made = prep.run()
    assert prep.codes() == {code: 2 * count for code, count in counts.items()}
    table = prep.memory.objects[f"ml/datasets/{made.digest}/train_labels.csv"].decode()
    assert table == HEADER + UPRIGHT


YOLO_BOX = "0 0.5 0.5 0.5 0.5"
ODD: dict[str, tuple[str, str, dict[str, int]]] = {
    "relative box of less than a pixel": ("a.txt", f"{YOLO_BOX}\n0 0.001 0.001 0.002 0.002", {"BoxDegenerate": 2}),
    "relative box beyond the image": ("a.txt", "0 0.5 0.5 1.5 0.5", {"BoxClipped": 2}),
    "negative sides": ("a.txt", "0 0.5 0.5 -0.5 0.5", {"BoxSwapped": 2}),
    "a polygon": ("a.txt", "0 0.2 0.2 0.8 0.3 0.5 0.9", {"ShapeBoxed": 2}),
    "no size": ("a.csv", HEADER + "a.jpg,0,0,tire,16,32,48,64\n", {"SizeMissing": 2}),
}


@pytest.mark.parametrize(("file", "text", "counts"), ODD.values(), ids=ODD)
def test_defects_are_repaired_in_any_format(prep: Preparation, file: str, text: str, counts: dict[str, int]) -> None:
    prep.memory.objects = {f"{split}/a.jpg": jpeg(WIDTH, HEIGHT, seed=split) for split in ("train", "eval")}
    prep.memory.objects |= {f"{split}/{file}": text.encode() for split in ("train", "eval")}
    prep.run()
    assert prep.codes() == counts


REFUSED: dict[str, tuple[str, str, str]] = {
    "pixels in YOLO": ("a.txt", "0 0.5 0.5 0.5 0.5\n0 64 32 32 32", "a.txt object 1: BoxNotNormalised"),
    "relative coordinates in a CSV of pixels": (
        "a.csv",
        HEADER + "a.jpg,128,64,tire,0.1,0.1,0.9,0.9\n",
        "BoxNormalised",
    ),
    "size of another image": ("a.csv", HEADER + "a.jpg,640,480,tire,16,32,48,64\n", "a.jpg: SizeMismatch"),
    "class in another case": (
        "a.csv",
        HEADER + "a.jpg,128,64,Tire,16,32,48,64\n",
        "(did you mean 'Tire'?)",
    ),
    "class id beyond the list": ("a.txt", "1 0.5 0.5 0.5 0.5", "a.txt object 0: UnknownClass: class id 1"),
}


@pytest.mark.parametrize(("file", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_ruin_training_is_refused_in_any_format(
    prep: Preparation, file: str, text: str, message: str
) -> None:
    prep.memory.objects = {f"{split}/a.jpg": jpeg(WIDTH, HEIGHT, seed=split) for split in ("train", "eval")}
    prep.memory.objects |= {f"{split}/{file}": text.encode() for split in ("train", "eval")}
    with pytest.raises(UserError) as caught:
        prep.run()
    assert message in caught.value.message
