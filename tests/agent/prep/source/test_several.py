"""Labels in several formats below one URI: which ones are used, what is told, and when they contradict."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from label_sets import CLASSES, PHOTOS, SETS, Files, Photo, coco_document, images, tutorial_csv
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.source import several

VOC, COCO, YOLO = SETS["pascalVOC"][1](), SETS["coco"][1](), SETS["yolo"][1]()
CSV = tutorial_csv()


@pytest.fixture
def source(prep: Preparation) -> Preparation:
    """Preparation of the small set without an eval split."""
    prep.classes, prep.eval = CLASSES, None
    return prep


def put(prep: Preparation, files: Files) -> None:
    prep.memory.objects.clear()
    prep.memory.objects.update({f"train/{path}": data for path, data in {**images(), **files}.items()})


def findings(prep: Preparation) -> list[tuple[str, str]]:
    return [(finding["code"], seen(finding)) for finding in prep.document("report.json")["findings"]]


@pytest.mark.parametrize(
    ("files", "used", "ignored"),
    [
        ({**VOC, **CSV}, "pascalVOC", "tutorialCSV"),
        ({**VOC, **COCO}, "pascalVOC", "coco"),
        ({**COCO, **YOLO}, "yolo", "coco"),
        ({**VOC, **YOLO}, "pascalVOC", "yolo"),
        ({**COCO, **CSV}, "tutorialCSV", "coco"),
    ],
    ids=["the tutorial's XML and CSV", "XML and COCO", "YOLO and COCO", "XML and YOLO", "CSV and COCO"],
)
def test_labels_that_say_the_same_are_used_once_and_told(
    source: Preparation, files: Files, used: str, ignored: str
) -> None:
    put(source, files)
    made = source.run()
    assert (made.train_images, made.numbers["trainObjects"]) == (4, 4)
    assert made.numbers["format"] == used
    text = f"{used} labels are used; {ignored} labels say the same about the 4 images that were compared"
    assert findings(source) == [("FormatIgnored", text)]


def changed(**box: Any) -> Files:
    document = coco_document()
    document["annotations"][0].update(box)
    return {"annotations.coco.json": json.dumps(document).encode()}


DIFFERENT = {
    "another box": (
        changed(bbox=[40, 20, 50, 20]),
        ("(tire; the first", "10, 20, 60, 40"),
        ("(tire;", "40, 20, 90, 40"),
    ),
    "another class": (changed(category_id=83), ("(tire;", "10, 20, 60, 40"), ("(winter hub;", "10, 20, 60, 40")),
}


@pytest.mark.parametrize(("files", "first", "second"), DIFFERENT.values(), ids=DIFFERENT)
def test_labels_that_contradict_each_other_are_refused_with_the_image(
    source: Preparation, files: Files, first: tuple[str, str], second: tuple[str, str]
) -> None:
    put(source, {**VOC, **files})
    with pytest.raises(UserError) as caught:
        source.run()
    assert caught.value.reason == "FormatAmbiguous"
    _, _, text = caught.value.message.partition("of 4 images that both have, 1 differ, such as 0001.jpg: ")
    voc, _, coco = text.partition(", but ")
    assert voc.startswith(f"pascalVOC has 1 box {first[0]}")
    assert coco.startswith(f"coco has 1 box {second[0]}")
    assert voc.endswith(f"right, bottom: {first[1]} pixels)")
    assert coco.endswith(f"right, bottom: {second[1]} pixels)")
    assert "format: pascalVOC (now auto), or coco if those labels are right;" in caught.value.hint


def test_numbers_that_tools_round_are_no_contradiction(source: Preparation) -> None:
    put(source, {**VOC, **changed(bbox=[9.4, 19.2, 51.3, 21.1])})
    assert source.run().numbers["format"] == "pascalVOC"


def test_a_few_files_that_were_left_do_not_replace_the_labels_of_all_images(source: Preparation) -> None:
    put(source, {"0001.xml": VOC["0001.xml"], **COCO})
    made = source.run()
    assert (made.numbers["format"], made.train_images) == ("coco", 4)


def test_empty_labels_that_a_tool_left_are_not_taken_for_images_without_objects(source: Preparation) -> None:
    empty = SETS["pascalVOC"][1]([Photo(photo.name, ()) for photo in PHOTOS])
    put(source, {**empty, **COCO})
    assert source.run().numbers["trainObjects"] == 4
    assert findings(source) == [("FormatIgnored", "coco labels are used; pascalVOC labels have no object")]


def test_labels_of_other_images_are_told(source: Preparation) -> None:
    other = SETS["coco"][1]([Photo("elsewhere.jpg", PHOTOS[0].boxes)])
    put(source, {**VOC, **other})
    source.run()
    text = "pascalVOC labels are used; coco labels are about other images or cannot be read"
    assert ("FormatIgnored", text) in findings(source)


def test_labels_too_large_to_compare_are_not_read(source: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "MAX_COMPARED_BYTES", 10)
    put(source, {**VOC, **changed(bbox=[40, 20, 50, 20])})
    source.run()
    assert findings(source) == [("FormatIgnored", "pascalVOC labels are used; coco labels are too large to compare")]


def test_a_format_that_is_asked_for_is_compared_with_none(source: Preparation) -> None:
    put(source, {**VOC, **changed(bbox=[40, 20, 50, 20])})
    source.train = replace(source.train, format="coco")
    assert source.run().numbers["format"] == "coco"
    assert findings(source) == []


def test_a_change_of_the_labels_that_are_not_used_prepares_again(source: Preparation) -> None:
    put(source, {**VOC, **COCO})
    first = source.run()
    put(source, {**VOC, **changed(area=7)})
    assert source.run().digest != first.digest
