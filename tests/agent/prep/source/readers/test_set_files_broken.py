"""Label files for many images: broken in part or as a whole; names, ids and flags of each format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from label_samples import CVAT_BOX, HEADER, OPEN, RECT, ROW, XYWH, A, coco, cvat, drawn, read, task, via
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError

UNUSABLE: dict[str, tuple[str, Any, str]] = {
    "csv: another header": ("tutorialCSV", "filename,class\na.jpg,tire\n", "AnnotationFormat"),
    "csv: no header": ("tutorialCSV", ROW, "AnnotationFormat"),
    "csv: empty": ("tutorialCSV", "", "AnnotationFormat"),
    "csv: Latin-1": ("tutorialCSV", (HEADER + ROW.replace("a.jpg", "é.jpg")).encode("latin-1"), "AnnotationMalformed"),
    "csv: a quote that swallows a line": (
        "tutorialCSV",
        HEADER + '"a.jpg,128,64,tire,10,20,60,40\nb.jpg,128,64,"tire,1,2,3,4\n',
        "AnnotationMalformed",
    ),
    "csv: a quote that is never closed": ("tutorialCSV", HEADER + '"' + ROW * 3000, "AnnotationMalformed"),
    "csv: a line without end": ("tutorialCSV", HEADER + "x" * (1 << 21), "AnnotationMalformed"),
    "coco: cut off": ("coco", json.dumps(coco({"bbox": [1, 2, 3, 4]}))[:-30], "AnnotationMalformed"),
    "coco: cut off within images": ("coco", json.dumps(coco())[:40], "AnnotationMalformed"),
    "coco: captions, which made negatives": ("coco", coco({"caption": "a tire"}), "LabelsOfWholeImages"),
    "coco: panoptic segments": ("coco", coco({"segments_info": [{"bbox": [1, 2, 3, 4]}]}), "LabelsOfWholeImages"),
    "coco: one id for two categories": (
        "coco",
        coco(categories=[{"id": 1, "name": "tire"}, {"id": 1, "name": "winter hub"}]),
        "EntriesContradict",
    ),
    "coco: two documents": ("coco", json.dumps(coco()) * 2, "AnnotationMalformed"),
    "coco: a comma too many": ("coco", '{"images": [{"id": 1, "file_name": "a"},]}', "AnnotationMalformed"),
    "coco: single quotes": ("coco", "{'images': []}", "AnnotationMalformed"),
    "coco: no UTF-8": ("coco", b'{"images": [{"file_name": "\xff"}]}', "AnnotationMalformed"),
    "coco: nested deep": ("coco", '{"images": [' + "[" * 100_000, "AnnotationMalformed"),
    "coco: a number of 5000 digits": ("coco", '{"images": [' + "9" * 5000 + "]}", "AnnotationMalformed"),
    "coco: an element of 3 MB": ("coco", '{"images": ["' + "x" * 3_000_000 + '"]}', "AnnotationTooLarge"),
    "cvat: tags of images, which made negatives": ("cvat", cvat('<tag label="full"/>'), "LabelsOfWholeImages"),
    "cvat: cut off": ("cvat", cvat(CVAT_BOX)[:-20], "AnnotationMalformed"),
    "cvat: PascalVOC": ("cvat", "<annotation/>", "AnnotationFormat"),
    "cvat: DOCTYPE": ("cvat", cvat(around="<!DOCTYPE annotations [<!ENTITY a 'b'>]>{}"), "AnnotationDoctype"),
    "cvat: DOCTYPE behind a long comment": (
        "cvat",
        cvat(around="<!--" + "x" * 70_000 + "--><!DOCTYPE a [<!ENTITY a 'b'>]>{}"),
        "AnnotationDoctype",
    ),
    "cvat: external entity": (
        "cvat",
        cvat("&x;", around="<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>{}"),
        "AnnotationDoctype",
    ),
    "cvat: entity never declared": ("cvat", cvat("&x;"), "AnnotationMalformed"),
    "cvat: nested deep": ("cvat", cvat("<a>" * 5000), "AnnotationMalformed"),
    "via: an array": ("via", "[]", "AnnotationFormat"),
    "label studio: an object": ("labelStudio", "{}", "AnnotationMalformed"),
}


@pytest.mark.parametrize(("name", "file", "code"), UNUSABLE.values(), ids=UNUSABLE)
def test_refuses_a_file_that_may_have_lost_labels(name: str, file: Any, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read(name, file)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{caught.value.code}: ")


STRAY: dict[str, tuple[str, Any, str]] = {
    "csv: a row without name": ("tutorialCSV", HEADER + ROW + ",128,64,tire,1,2,3,4\n", "ImageNameMissing"),
    "coco: an image without id": (
        "coco",
        {**coco(), "images": [{"file_name": "b.jpg"}, {"id": 7, "file_name": A}]},
        "EntryIncomplete",
    ),
    "coco: an image without name": (
        "coco",
        {**coco(), "images": [{"id": 1}, {"id": 7, "file_name": A}]},
        "EntryIncomplete",
    ),
    "coco: an image that is a text": (
        "coco",
        {**coco(), "images": ["x", {"id": 7, "file_name": A}]},
        "EntryIncomplete",
    ),
    "coco: an annotation of no image": ("coco", coco({"image_id": None, "bbox": [1, 2, 3, 4]}), "EntryIncomplete"),
    "coco: a category without name": ("coco", coco(categories=[{"id": 1}]), "EntryIncomplete"),
    "cvat: an image without name": (
        "cvat",
        cvat(CVAT_BOX).replace("</annotations>", f"<image id='1'>{CVAT_BOX}</image></annotations>"),
        "ImageNameMissing",
    ),
    "cvat: tracks of a video": (
        "cvat",
        cvat(CVAT_BOX).replace("</annotations>", f"<track id='0' label='tire'>{CVAT_BOX}</track></annotations>"),
        "TracksUnread",
    ),
    "via: an entry without filename": ("via", {"x": {"regions": []}, **via(RECT)}, "ImageNameMissing"),
    "via: an entry that is a number": ("via", {"x": 5, **via(RECT)}, "ImageNameMissing"),
    "label studio: a task without image": ("labelStudio", [{"data": {"text": "x"}}, *task()], "ImageNameMissing"),
    "label studio: a task that is null": ("labelStudio", [None, *task()], "ImageNameMissing"),
}


@pytest.mark.parametrize(("name", "file", "code"), STRAY.values(), ids=STRAY)
def test_a_bad_entry_does_not_stop_the_rest(name: str, file: Any, code: str) -> None:
    made = read(name, file)
    assert made.strays == [code]
    [found] = made.images.values()
    assert isinstance(found, Annotation)


def test_coco_annotations_of_images_that_are_not_listed_are_counted() -> None:
    assert read("coco", coco({"image_id": 8, "bbox": [1, 2, 3, 4]})).orphans == 1


def test_label_studio_tasks_that_nobody_labelled_are_no_negatives() -> None:
    unlabelled = (
        task(annotations=[]) + task(annotations=[{"result": [], "was_cancelled": True}]) + task(annotations=None)
    )
    assert read("labelStudio", unlabelled).images == {}


NAMES = {
    "uploaded": ({"image": "/data/upload/1/0a1b2c3d-a%20b.jpg"}, "/data/upload/1/0a1b2c3d-a b.jpg"),
    "bucket": ({"image": "s3://bucket/x/a.jpg"}, "/x/a.jpg"),
    "local files": ({"image": "/data/local-files/?d=x%2Fa.jpg"}, "x/a.jpg"),
    "signed": ({"image": "https://host/x/a.jpg?X-Amz-Signature=1"}, "/x/a.jpg"),
    "another key": ({"note": "n", "photo": "http://host/a.png"}, "/a.png"),
}


def test_label_studio_regions_are_those_of_the_image_they_were_drawn_on() -> None:
    region = {**drawn(**XYWH), "to_name": "right"}
    made = read("labelStudio", task(region, data={"image": "/a/other.jpg", "right": "/a/b.jpg"}))
    assert list(made.images) == ["/a/b.jpg"]


@pytest.mark.parametrize(("data", "name"), NAMES.values(), ids=NAMES)
def test_label_studio_addresses_give_names(data: dict[str, str], name: str) -> None:
    assert list(read("labelStudio", task(data=data)).images) == [name]


def test_coco_crowds_and_open_images_groups_are_flagged() -> None:
    found = read("coco", coco({"bbox": [1, 2, 3, 4], "iscrowd": 1}, {"bbox": [1, 2, 3, 4], "iscrowd": 0})).images[A]
    assert isinstance(found, Annotation)
    assert [item.crowd for item in found.objects] == [True, False]
    rows = OPEN + "a,x,tire,1,0.1,0.2,0.3,0.4,1,1,1\na,x,tire,1,0.1,0.2,0.3,0.4,-1,-1,0\n"
    found = read("openImages", rows).images["a"]
    assert isinstance(found, Annotation)
    flags = [(item.occluded, item.truncated, item.crowd) for item in found.objects]
    assert flags == [(True, True, True), (False, False, False)]


def test_cvat_occluded_and_shapes_are_flagged() -> None:
    shapes = (CVAT_BOX.replace("<box", '<box occluded="1"'), '<polygon label="tire" points="1,2;3,4"/>')
    found = read("cvat", cvat(*shapes)).images[A]
    assert isinstance(found, Annotation)
    assert [(item.occluded, item.shape) for item in found.objects] == [(True, ""), (False, "polygon")]


DESCRIPTIONS = "/m/01,winter hub\n/m/02,tire\n"


@pytest.mark.parametrize("first", ["boxes", "descriptions"])
@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"], ids=["bare", "header"])
def test_open_images_order_of_columns_and_names(first: str, header: str) -> None:
    """XMin, XMax, YMin, YMax: the order that is read wrong most often."""
    files = [OPEN + "a,x,/m/02,1,0.1,0.2,0.3,0.4,0,0,0\n", header + DESCRIPTIONS]
    made = read("openImages", *(files if first == "boxes" else reversed(files)))
    assert made.boxes("a") == [("tire", (0.1, 0.3, 0.2, 0.4))]


def test_open_images_ids_stay_without_descriptions_or_when_asked_for() -> None:
    rows = OPEN + "a,x,/m/02,1,0.1,0.2,0.3,0.4,0,0,0\n"
    assert read("openImages", rows).boxes("a")[0][0] == "/m/02"
    assert read("openImages", rows, DESCRIPTIONS, classes=("/m/02",)).boxes("a")[0][0] == "/m/02"


def test_open_images_ignores_rows_of_other_images() -> None:
    made = read("openImages", OPEN + "nobody has it,x,/m/02,1,0.1,0.2,0.3,0.4,0,0,0\n")
    assert made.images == {}


def test_half_a_surrogate_pair_in_a_name_is_replaced() -> None:
    """JSON can hold half of a surrogate pair, which cannot be encoded as UTF-8."""
    document = json.dumps(coco({"bbox": [1, 2, 3, 4]})).replace("a.jpg", "\\ud800.jpg").replace("tire", "\\udfff")
    made = read("coco", document)
    assert made.boxes("?.jpg")[0][0] == "?"


def test_more_objects_than_one_image_can_have() -> None:
    assert read("tutorialCSV", HEADER + ROW * 10_001).defect(A) == ("TooManyObjects", None)
