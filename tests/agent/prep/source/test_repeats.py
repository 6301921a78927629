"""The same image in several entries of label files: merged where they are equal, one finding where they are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from label_sets import PHOTOS, Photo, coco, coco_document, images, label_studio, tutorial_csv, via_2, via_csv
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError

CLASSES = ("tire", "winter hub")
OTHER = (Photo("0001.jpg", (("tire", 11, 20, 60, 40),)), Photo("a b.jpg", (("tire", 1, 0, 100, 64),)))
Files = dict[str, bytes]


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    """A train source with four images and no labels."""
    made = Preparation(tmp_path, eval=None, classes=CLASSES)
    made.memory.objects.update({f"train/{name}": data for name, data in images().items()})
    return made


def put(prep: Preparation, name: str, files: Files) -> None:
    """Store the only one of these label files under another name."""
    [data] = files.values()
    prep.memory.objects[f"train/{name}"] = data


def told(prep: Preparation) -> list[tuple[str, str]]:
    """Code and file, and text, of each finding."""
    report: dict[str, Any] = prep.document("report.json")
    return [(f"{one['code']} {one['file']}", seen(one)) for one in report["findings"]]


SAME = {
    "a COCO file and its copy": (coco, coco),
    "two VIA files": (via_2, via_2),
    "two tables": (tutorial_csv, tutorial_csv),
    "VIA as JSON and as CSV": (via_2, via_csv),
    "two exports of Label Studio": (label_studio, label_studio),
}


@pytest.mark.parametrize("order", ["instances first", "keypoints first"])
def test_a_file_with_some_classes_of_another_is_a_part_of_it(prep: Preparation, order: str) -> None:
    """MS COCO's person_keypoints_*.json lies beside instances_*.json."""
    whole, part = coco_document(), coco_document()
    person = next(entry["id"] for entry in part["categories"] if entry["name"] == "tire")
    part["annotations"] = [entry for entry in part["annotations"] if entry["category_id"] == person]
    names = ("a.json", "b.json") if order == "instances first" else ("b.json", "a.json")
    for name, document in zip(names, (whole, part), strict=True):
        put(prep, name, {name: json.dumps(document).encode()})
    assert prep.run().numbers["trainObjects"] == 4
    assert all(where.startswith(("LabelsRepeated", "EntryWithoutBoxes")) for where, _ in told(prep))
    text = f"1 image has the same boxes of its classes in {names[0]}, among others, such as a b.jpg"
    assert (f"LabelsRepeated {names[1]}", text) in told(prep)


def test_a_file_from_which_a_box_was_deleted_contradicts(prep: Preparation) -> None:
    whole, part = coco_document(), coco_document()
    del part["annotations"][2]
    for name, document in (("a.json", whole), ("b.json", part)):
        put(prep, name, {name: json.dumps(document).encode()})
    prep.max_bad_files = "100%"
    prep.run()
    assert [where for where, _ in told(prep) if where.startswith("ImageListedTwice")] == ["ImageListedTwice b.json"]


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME)
def test_a_file_that_repeats_another_is_told_once(prep: Preparation, first: Any, second: Any) -> None:
    put(prep, f"a.{next(iter(first())).rpartition('.')[2]}", first())
    put(prep, f"b.{next(iter(second())).rpartition('.')[2]}", second())
    made = prep.run()
    assert (made.train_images, made.numbers["trainObjects"]) == (4, 4)
    [(where, text)] = told(prep)
    assert where.startswith("LabelsRepeated b.")
    assert text.startswith("repeats a.")
    assert text.endswith(": 4 images have the same labels there; the file can be deleted")


def test_boxes_in_another_order_and_other_ids_are_the_same_labels(prep: Preparation) -> None:
    put(prep, "a.json", coco())
    document = coco_document()
    document["annotations"].reverse()
    document["categories"] = [{**one, "id": one["id"] + 100} for one in document["categories"]]
    document["annotations"] = [{**one, "category_id": one["category_id"] + 100} for one in document["annotations"]]
    put(prep, "b.json", {"": json.dumps(document).encode()})
    assert prep.run().train_images == 4
    assert prep.codes() == {"LabelsRepeated": 1}


def test_a_box_that_is_twice_in_one_of_two_files_is_no_contradiction(prep: Preparation) -> None:
    put(prep, "a.json", coco())
    document = coco_document()
    document["annotations"].append({**document["annotations"][0], "id": 99})
    put(prep, "b.json", {"": json.dumps(document).encode()})
    assert prep.run().train_images == 4
    assert prep.codes() == {"LabelsRepeated": 1}


def test_a_file_that_repeats_some_images_and_has_others_is_not_to_be_deleted(prep: Preparation) -> None:
    put(prep, "a.json", coco(PHOTOS[:2]))
    put(prep, "b.json", coco(PHOTOS[1:]))
    assert prep.run().train_images == 4
    assert told(prep) == [("LabelsRepeated b.json", "1 image has the same labels in a.json, such as a b.jpg")]


def test_an_image_listed_twice_with_the_same_content_in_one_file_is_used(prep: Preparation) -> None:
    document = coco_document()
    document["images"].append({**document["images"][0], "id": 7})
    document["annotations"].append({**document["annotations"][0], "id": 99, "image_id": 7})
    put(prep, "a.json", {"": json.dumps(document).encode()})
    assert prep.run().numbers["trainObjects"] == 4
    assert told(prep) == [
        ("LabelsRepeated a.json", "1 image is listed more than once, with the same labels, such as 0001.jpg")
    ]


def test_files_that_contradict_each_other_are_one_error_and_their_images_count_as_bad(prep: Preparation) -> None:
    put(prep, "a.json", coco())
    put(prep, "b.json", coco((*OTHER, *PHOTOS[2:])))
    prep.max_bad_files = "1"
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "TooManyBadFiles"
    assert told(prep) == [
        ("ImageListedTwice b.json", "2 images have other labels here than in a.json, such as 0001.jpg"),
        ("LabelsRepeated b.json", "2 images have the same labels in a.json, such as größe.1.JPG"),
    ]
    assert prep.document("report.json")["errors"] == 1


def test_an_entry_without_boxes_does_not_hide_the_boxes_of_another(prep: Preparation) -> None:
    """Each of two labellers has a project with all images, and labels a half."""
    halves: Sequence[Sequence[Photo]] = (
        [photo if number < 2 else Photo(photo.name, ()) for number, photo in enumerate(PHOTOS)],
        [photo if number >= 2 else Photo(photo.name, ()) for number, photo in enumerate(PHOTOS)],
    )
    for name, half in zip("ab", halves, strict=True):
        put(prep, f"{name}.json", coco(half))
    assert prep.run().numbers["trainObjects"] == 4
    assert sorted(told(prep)) == [
        ("EntryWithoutBoxes a.json", "1 image has no boxes here, but in b.json, such as größe.1.JPG"),
        ("EntryWithoutBoxes b.json", "2 images have no boxes here, but in a.json, such as 0001.jpg"),
        ("LabelsRepeated b.json", "1 image has the same labels in a.json, such as nothing.jpg"),
    ]


def test_three_files_are_compared_with_the_first(prep: Preparation) -> None:
    for name in "abc":
        put(prep, f"{name}.json", coco())
    assert prep.run().train_images == 4
    assert [where for where, _ in told(prep)] == ["LabelsRepeated b.json", "LabelsRepeated c.json"]
