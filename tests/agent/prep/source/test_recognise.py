"""`format: auto`: what is recognised, what is refused, and which image a name in a label file means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from label_sets import CLASSES, SETS, Files, coco_document, images, open_images, tutorial_csv, yolo
from label_sets import PHOTOS as PHOTO_LIST
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import Interrupted, UserError
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.recognise import recognise
from voc_data import jpeg, voc

VOC, COCO = SETS["pascalVOC"][1](), SETS["coco"][1]()
YOLO = SETS["yolo"][1]()


def recognised(files: Files, *, asked: str = "auto") -> tuple[str, list[str]]:
    """The formats recognised in these files, and the files that were read for it."""
    suffixes = (".jpg", ".JPG")
    listing = Listing(
        [Entry(path, len(data)) for path, data in files.items() if path.endswith(suffixes)],
        [Entry(path, len(data)) for path, data in sorted(files.items()) if not path.endswith(suffixes)],
    )
    looked: list[str] = []

    def head(entry: Entry) -> bytes:
        looked.append(entry.path)
        return files[entry.path][: 64 << 10]

    return "+".join(one.name for one in recognise(listing, asked, split="train", head=head)), looked


def moved(files: Files, *folders: tuple[str, str]) -> Files:
    """Move files into folders by their suffix."""
    return {
        f"{folder}/{path}": data for suffix, folder in folders for path, data in files.items() if path.endswith(suffix)
    }


PHOTOS = images()
LAYOUTS: dict[str, tuple[Files, str]] = {
    "images and labels apart": ({**moved(YOLO, (".txt", "labels")), **moved(PHOTOS, ("", "images"))}, "yolo"),
    "images under the names they had before Label Studio": (
        {"images/a.jpg": b"x", "labels/0a1b2c3d-a.txt": b"0 .5 .5 .1 .1\n"},
        "yolo",
    ),
    "YOLO negatives only": ({"a.jpg": b"x", "a.txt": b""}, "yolo"),
    "XML paired by its content": ({"a.jpg": b"x", "b.xml": voc()}, "pascalVOC"),
    "VOC tree": ({"JPEGImages/a.jpg": b"x", "Annotations/a.xml": voc()}, "pascalVOC"),
    "captions beside the images are no labels": ({**PHOTOS, "0001.txt": b"a photo of a tire", **COCO}, "coco"),
    "an HTML file named .xml beside its image": ({"a.jpg": b"x", "a.xml": b"<html/>"}, "pascalVOC"),
    "other JSON and CSV around": (
        {**PHOTOS, **COCO, "package.json": b'{"name": "x"}', "a.csv": b"a,b\n1,2\n", "z.json": b"[1, 2]"},
        "coco",
    ),
    "long COCO": (
        {**PHOTOS, "a.json": json.dumps({**coco_document(), "info": {}, "licenses": ["x" * 1000] * 10}).encode()},
        "coco",
    ),
    "COCO whose images come first and are many": (
        {**PHOTOS, "a.json": json.dumps({"images": [{"id": n, "file_name": "a"} for n in range(9999)]}).encode()},
        "coco",
    ),
    "embedded image before the shapes": (
        {**PHOTOS, "0001.json": json.dumps({"imageData": "QUJD" * 99_999, "shapes": []}).encode()},
        "labelMe",
    ),
    "no images at all": ({}, "pascalVOC"),
    "labels per image come first": ({**PHOTOS, **COCO, **VOC}, "pascalVOC+coco"),
    "two formats per image": ({**PHOTOS, **VOC, **YOLO}, "pascalVOC+yolo"),
    "images and labels in folders of any name": (
        {**moved(YOLO, (".txt", "annots")), **moved(PHOTOS, ("", "photos"))},
        "yolo",
    ),
    "a label file that is larger than others of its kind": (
        {**PHOTOS, **{f"{name}.json": b"{}" for name in "abcdefg"}, "z.json": COCO["annotations.coco.json"]},
        "coco",
    ),
}


@pytest.mark.parametrize(("files", "name"), LAYOUTS.values(), ids=LAYOUTS)
def test_recognises(files: Files, name: str) -> None:
    assert recognised(files)[0] == name


def test_images_with_xml_beside_them_cost_no_read() -> None:
    assert recognised({**PHOTOS, **VOC, "notes.txt": b"x"}) == ("pascalVOC", [])


def test_reads_only_a_few_files_and_each_once() -> None:
    photos = {f"{number}.jpg": b"x" for number in range(1000)}
    files = {f"{number}.json": b'{"shapes": []}' for number in range(1000)}
    name, looked = recognised({**photos, **files})
    assert name == "labelMe"
    assert len(looked) == len(set(looked)) == 5


REFUSED: dict[str, tuple[Files, str, str]] = {
    "no labels": (
        {"a.jpg": b"x"},
        "FormatNotRecognised",
        "auto found no labels; images: 1, files that might be labels: 0",
    ),
    "labels of another kind": (
        {"a.jpg": b"x", "x.json": b"{}"},
        "FormatNotRecognised",
        "auto found no labels; images: 1, files that might be labels: 1, such as x.json",
    ),
}


@pytest.mark.parametrize(("files", "reason", "message"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_what_was_found_and_what_to_set(files: Files, reason: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        recognised(files)
    assert (caught.value.reason, caught.value.message) == (reason, f"spec.dataset.train.format: {message}")
    field = "format" if ".json" in message else r"labels\.uri"
    assert re.search(rf"new TrainingRun with (another )?spec\.dataset\.train\.{field}", caught.value.hint)


def test_an_explicit_format_reads_no_file() -> None:
    assert recognised({**PHOTOS, **VOC, **COCO}, asked="coco") == ("coco", [])


def put(prep: Preparation, files: Files, *, split: str = "train") -> None:
    """Replace all files of a split."""
    for key in [key for key in prep.memory.objects if key.startswith(f"{split}/")]:
        del prep.memory.objects[key]
    prep.memory.objects.update({f"{split}/{path}": data for path, data in files.items()})


@pytest.fixture
def coco_prep(prep: Preparation) -> Preparation:
    """Preparation of COCO labels in both splits; bad files are allowed, so that tests can read the findings."""
    for split in ("train", "eval"):
        put(prep, {**images(split=split), **COCO}, split=split)
    prep.classes, prep.max_bad_files = CLASSES, "5"
    return prep


def test_a_format_without_label_files_is_refused(prep: Preparation) -> None:
    prep.train = replace(prep.train, format="coco")
    prep.memory.objects["train/x.json"] = b"[]"
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "LabelsNotFound"
    assert caught.value.message == (
        "spec.dataset.train.format: coco, but no file below spec.dataset.train.uri begins as that format"
        " does; .json files there: x.json"
    )


def document(**changes: Any) -> bytes:
    return json.dumps({**coco_document(), **changes}).encode()


def one_more(**image: Any) -> bytes:
    return document(images=[*coco_document()["images"], {"id": 1, "width": 128, "height": 64, **image}])


FINDINGS: dict[str, tuple[Callable[[Preparation], Any], str, str]] = {
    "listed, not uploaded": (
        lambda prep: prep.memory.objects.update({"train/annotations.coco.json": one_more(file_name="gone.jpg")}),
        "ImageMissing",
        "gone.jpg",
    ),
    "uploaded, not listed": (
        lambda prep: prep.memory.objects.update({"train/more.jpg": jpeg(seed="more")}),
        "ImageWithoutAnnotation",
        "more.jpg",
    ),
    "listed twice": (
        lambda prep: prep.memory.objects.update({"train/annotations.coco.json": one_more(file_name="0001.jpg")}),
        "EntryWithoutBoxes",
        "annotations.coco.json",
    ),
    "listed in two files": (
        lambda prep: prep.memory.objects.update(
            {"train/more.json": json.dumps({"images": [{"id": 1, "file_name": "0001.jpg"}]}).encode()}
        ),
        "EntryWithoutBoxes",
        "more.json",
    ),
    "a cut-off file and a complete one": (
        lambda prep: prep.memory.objects.update({"train/more.json": document()[:-9]}),
        "AnnotationMalformed",
        "more.json",
    ),
    "boxes of no image": (
        lambda prep: prep.memory.objects.update(
            {
                "train/annotations.coco.json": document(
                    annotations=[*coco_document()["annotations"], {"image_id": 5, "bbox": [1, 2, 3, 4]}]
                )
            }
        ),
        "AnnotationWithoutImage",
        "annotations.coco.json",
    ),
    "another file": (
        lambda prep: prep.memory.objects.update({"train/package.json": b'{"name": "x"}'}),
        "FileIgnored",
        "package.json",
    ),
    "a box of a crowd": (
        lambda prep: prep.memory.objects.update(
            {
                "train/annotations.coco.json": document(
                    annotations=[
                        {**entry, "iscrowd": int(entry["id"] == 1)} for entry in coco_document()["annotations"]
                    ]
                )
            }
        ),
        "CrowdDropped",
        "a b.jpg",
    ),
}


@pytest.mark.parametrize(("change", "code", "file"), FINDINGS.values(), ids=FINDINGS)
def test_a_defect_gives_its_finding(
    coco_prep: Preparation,
    contract: Callable[[str, Any], None],
    change: Callable[[Preparation], Any],
    code: str,
    file: str,
) -> None:
    change(coco_prep)
    made = coco_prep.run()
    report = coco_prep.document("report.json")
    contract("report", report)
    assert [(finding["code"], finding["file"]) for finding in report["findings"]] == [(code, file)]
    assert made.train_images >= 3


def test_a_crowd_is_in_no_record(coco_prep: Preparation) -> None:
    before = coco_prep.run().numbers["trainObjects"]
    FINDINGS["a box of a crowd"][0](coco_prep)
    assert coco_prep.run().numbers["trainObjects"] == before - 1


def test_a_defect_names_image_object_and_place_in_the_file(coco_prep: Preparation) -> None:
    entries = coco_document()["annotations"]
    entries[2]["bbox"][1] = "top"
    coco_prep.memory.objects["train/annotations.coco.json"] = document(annotations=entries)
    coco_prep.run()
    [finding] = coco_prep.document("report.json")["findings"]
    assert (finding["code"], finding["file"], finding["object"]) == ("BoxNotANumber", "a b.jpg", 1)
    assert seen(finding) == "annotations.coco.json annotations[2]: bbox[1] is 'top'"


def test_a_label_file_that_changes_while_it_is_read_makes_the_data_set_unusable(
    coco_prep: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = coco_prep.memory.download

    def changed(key: str, path: Any, **rest: Any) -> str:
        coco_prep.memory.objects[key] += b" "
        return download(key, path, **rest)

    monkeypatch.setattr(coco_prep.memory, "download", changed)
    with pytest.raises(UserError) as caught:
        coco_prep.run()
    assert "annotations.coco.json: ObjectChanged" in caught.value.message


def test_stops_while_labels_are_read(coco_prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    download = coco_prep.memory.download

    def recorded(key: str, path: Any, **rest: Any) -> str:
        coco_prep.stop.set()
        return download(key, path, **rest)

    monkeypatch.setattr(coco_prep.memory, "download", recorded)
    with pytest.raises(Interrupted):
        coco_prep.run()
    assert list(coco_prep.scratch.iterdir()) == []


def test_cut_off_labels_fail_the_run_and_are_named_first(coco_prep: Preparation) -> None:
    coco_prep.memory.objects["train/annotations.coco.json"] = document()[:-9]
    with pytest.raises(UserError) as caught:
        coco_prep.run()
    assert caught.value.reason == "EmptyTrainSet"
    assert (
        "used: train annotations.coco.json: AnnotationMalformed: the JSON ends too early, at character"
        in caught.value.message
    )


WRITTEN: dict[str, tuple[list[str], str, list[tuple[str, str]]]] = {
    "by its path": (["x/0001.jpg", "y/0001.jpg"], "x/0001.jpg", [("ImageWithoutAnnotation", "y/0001.jpg")]),
    "by a path of another machine": (["0001.jpg"], "C:\\photos\\0001.jpg", [("FoundByName", "")]),
    "by the end of a path": (
        ["p/x/0001.jpg", "p/y/0001.jpg"],
        "x/0001.jpg",
        [("ImageWithoutAnnotation", "p/y/0001.jpg"), ("FoundByName", "")],
    ),
    "in another case": (["IMG.JPG"], "img.jpg", []),
    "in another Unicode form": (["gro\u0308ße.jpg"], "größe.jpg", []),
    "without suffix": (["0001.jpg"], "0001", []),
    "with another suffix": (["0001.jpg"], "0001.png", [("FoundByName", "")]),
    "with dots": (["a.1.jpg", "a.2.jpg"], "a.2", [("ImageWithoutAnnotation", "a.1.jpg")]),
    "by a name that several have": (
        ["x/0001.jpg", "y/0001.jpg"],
        "0001.jpg",
        [
            ("ImageAmbiguous", "0001.jpg"),
            ("ImageWithoutAnnotation", "x/0001.jpg"),
            ("ImageWithoutAnnotation", "y/0001.jpg"),
        ],
    ),
    "by a name that differs by case only": (["a.jpg", "A.jpg"], "a.jpg", [("ImageWithoutAnnotation", "A.jpg")]),
    "by a path of a folder that is not there": (
        ["val/0001.jpg"],
        "train/0001.jpg",
        [("ImageElsewhere", "train/0001.jpg"), ("ImageWithoutAnnotation", "val/0001.jpg")],
    ),
}


@pytest.mark.parametrize(("paths", "written", "findings"), WRITTEN.values(), ids=WRITTEN)
def test_names_in_label_files_are_matched_to_images(
    coco_prep: Preparation, paths: list[str], written: str, findings: list[tuple[str, str]]
) -> None:
    rest = PHOTO_LIST[1:]
    table = tutorial_csv(rest)["train_labels.csv"] + f"{written},128,64,tire,10,20,60,40\n".encode()
    put(coco_prep, {**images(rest), **{path: jpeg(128, 64, seed=path) for path in paths}, "labels.csv": table})
    coco_prep.run()
    report = coco_prep.document("report.json")
    assert [(finding["code"], finding["file"]) for finding in report["findings"]] == findings


def test_yolo_missing_file_is_unlabelled_and_empty_one_a_negative(prep: Preparation) -> None:
    prep.classes, prep.max_bad_files = CLASSES, "1"
    for split in ("train", "eval"):
        put(prep, {**images(split=split), **YOLO}, split=split)
    prep.memory.objects["train/0001.txt"] = b""
    del prep.memory.objects["train/größe.1.txt"]
    prep.run()
    report = prep.document("report.json")
    assert report["counts"] == {"ImageWithoutAnnotation": 1}
    assert report["splits"]["train"]["negatives"] == 2


def test_yolo_readmes_and_lists_of_files_are_no_labels(prep: Preparation) -> None:
    prep.classes = CLASSES
    for split in ("train", "eval"):
        put(
            prep,
            {**images(split=split), **yolo(), "README.dataset.txt": b"hello", "train.txt": b"0001.jpg"},
            split=split,
        )
    prep.run()
    assert prep.codes() == {}


def test_open_images_rows_of_other_images_are_ignored(prep: Preparation) -> None:
    prep.classes = CLASSES
    for split in ("train", "eval"):
        put(prep, {**images(split=split), **open_images()}, split=split)
    assert prep.run().train_images == 4
    assert prep.codes() == {}


@pytest.mark.parametrize("name", SETS)
def test_changed_labels_change_the_digest(prep: Preparation, name: str) -> None:
    prep.classes = CLASSES
    files = {**images(), **SETS[name][1]()}
    for split in ("train", "eval"):
        put(prep, files, split=split)
    first = prep.run()
    assert prep.run().reused
    path = next(path for path in sorted(files) if path not in PHOTOS and path != "classes.txt")
    prep.memory.objects[f"train/{path}"] += b"\n"
    assert prep.run().digest != first.digest
