"""The traps of formats that keep the labels of all images in one file: right boxes, or one named defect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from label_reading import Corners, Read, read_set
from trainingrun_agent.prep.annotation import Annotation, UnusableError

Boxes = list[tuple[str, Corners]]
BOX = ("tire", (10.0, 20.0, 60.0, 40.0))
A = "a.jpg"
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
ROW = "a.jpg,128,64,tire,10,20,60,40\n"


@pytest.fixture
def read() -> Callable[..., Read]:
    """Read files of a format: bytes, text, or what becomes JSON."""

    def reading(name: str, *files: Any, classes: tuple[str, ...] = ("tire", "winter hub")) -> Read:
        data = [
            file if isinstance(file, bytes) else (file if isinstance(file, str) else json.dumps(file)).encode()
            for file in files
        ]
        return read_set(name, *data, classes=classes)

    return reading


def coco(*annotations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    image = {"id": 7, "file_name": A, "width": 128, "height": 64, **changes.pop("image", {})}
    return {
        "images": [image],
        "annotations": [{"image_id": 7, "category_id": 90, **annotation} for annotation in annotations],
        "categories": [{"id": 90, "name": "tire"}, {"id": 3, "name": "winter hub"}],
        **changes,
    }


def cvat(*shapes: str, image: str = 'name="a.jpg" width="128" height="64"', around: str = "{}") -> str:
    return around.format(
        f"<annotations><version>1.1</version><image id='0' {image}>{''.join(shapes)}</image></annotations>"
    )


def via(*regions: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    named = attributes or {"part": "tire"}
    listed = [{"shape_attributes": region, "region_attributes": named} for region in regions]
    return {"a.jpg1": {"filename": A, "size": 1, "regions": listed}}


def task(*results: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    sized = [{"original_width": 128, "original_height": 64, "id": "r", **result} for result in results]
    return [{"data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [{"result": sized}], **changes}]


def drawn(kind: str = "rectanglelabels", labels: Any = ("tire",), **value: Any) -> dict[str, Any]:
    return {"type": kind, "value": {**value, kind: labels}}


OPEN = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
SHARES: Corners = (10 / 128, 20 / 64, 60 / 128, 40 / 64)
XYWH = {"x": 100 * SHARES[0], "y": 100 * SHARES[1], "width": 100 * 50 / 128, "height": 100 * 20 / 64}
RECT = {"name": "rect", "x": 10, "y": 20, "width": 50, "height": 20}
CVAT_BOX = '<box label="tire" xtl="10" ytl="20" xbr="60" ybr="40"/>'

GOOD: dict[str, tuple[str, Any, Boxes]] = {
    "csv: as xml_to_csv writes it": ("tutorialCSV", HEADER + ROW, [BOX]),
    "csv: byte order mark": ("tutorialCSV", "\ufeff" + HEADER + ROW, [BOX]),
    "csv: UTF-16": ("tutorialCSV", (HEADER + ROW).encode("utf-16"), [BOX]),
    "csv: Windows line ends": ("tutorialCSV", (HEADER + ROW).replace("\n", "\r\n"), [BOX]),
    "csv: semicolons": ("tutorialCSV", (HEADER + ROW).replace(",", ";"), [BOX]),
    "csv: columns in another order": (
        "tutorialCSV",
        "class,ymax,xmax,ymin,xmin,height,width,filename\ntire,40,60,20,10,64,128,a.jpg\n",
        [BOX],
    ),
    "csv: index column of a data frame": ("tutorialCSV", f",{HEADER}0,{ROW}", [BOX]),
    "csv: blanks around everything": ("tutorialCSV", HEADER + " a.jpg , 128,64, tire ,10 , 20,60,40\n\n", [BOX]),
    "csv: floats": ("tutorialCSV", HEADER + "a.jpg,128.0,64.0,tire,10.0,20.0,6e1,40.0\n", [BOX]),
    "csv: a class pandas would take for missing": (
        "tutorialCSV",
        HEADER + "a.jpg,128,64,NA,10,20,60,40\na.jpg,128,64,1,10,20,60,40\na.jpg,128,64,True,10,20,60,40\n",
        [("NA", BOX[1]), ("1", BOX[1]), ("True", BOX[1])],
    ),
    "csv: an image without objects": ("tutorialCSV", HEADER + "a.jpg,128,64,,,,,\n", []),
    "csv: quoted cells": ("tutorialCSV", HEADER + '"a.jpg","128","64","tire","10","20","60","40"\n', [BOX]),
    "coco: x, y, width, height": ("coco", coco({"bbox": [10, 20, 50, 20]}), [BOX]),
    "coco: ids with gaps, as texts and as floats": (
        "coco",
        coco({"bbox": [10, 20, 50, 20], "image_id": "7", "category_id": 3.0}),
        [("winter hub", BOX[1])],
    ),
    "coco: annotations before images and categories": (
        "coco",
        dict(reversed(coco({"bbox": [10, 20, 50, 20]}).items())),
        [BOX],
    ),
    "coco: an image without annotations": ("coco", coco(), []),
    "coco: masks of crowds, nested lists, unknown parts": (
        "coco",
        coco(
            {"bbox": [10, 20, 50, 20], "segmentation": {"size": [64, 128], "counts": [1, 2] * 500}},
            info={"a": [{"b": [[]]}]},
            licenses=[[[1], {}], "x"],
        ),
        [BOX],
    ),
    "coco: NaN where nobody reads it": ("coco", coco({"bbox": [10, 20, 50, 20], "area": float("nan")}), [BOX]),
    "coco: byte order mark": ("coco", "\ufeff" + json.dumps(coco({"bbox": [10, 20, 50, 20]})), [BOX]),
    "coco: UTF-16": ("coco", json.dumps(coco({"bbox": [10, 20, 50, 20]})).encode("utf-16"), [BOX]),
    "coco: numbers as texts": ("coco", coco({"bbox": ["10", "20", "50.0", "20"]}), [BOX]),
    "cvat: floats": ("cvat", cvat('<box label="tire" xtl="10.0" ytl="20.00" xbr="60" ybr="4e1"/>'), [BOX]),
    "cvat: attributes inside a box": (
        "cvat",
        cvat('<box label="tire" xtl="10" ytl="20" xbr="60" ybr="40"><attribute name="x">y</attribute></box>'),
        [BOX],
    ),
    "cvat: comments, instructions and tags": (
        "cvat",
        cvat("<!-- x -->", "<?x y?>", '<tag label="z"/>', CVAT_BOX),
        [BOX],
    ),
    "cvat: an image without shapes": ("cvat", cvat(), []),
    "cvat: hull of a polygon": ("cvat", cvat('<polygon label="tire" points="10,20;60,30;30,40;"/>'), [BOX]),
    "cvat: hull of an ellipse": ("cvat", cvat('<ellipse label="tire" cx="35" cy="30" rx="25" ry="10"/>'), [BOX]),
    "cvat: a mask": (
        "cvat",
        cvat('<mask label="tire" rle="1,2" left="10" top="20" width="50" height="20"/>'),
        [BOX],
    ),
    "cvat: a box turned by a quarter": (
        "cvat",
        cvat('<box label="tire" rotation="90.0" xtl="25" ytl="5" xbr="45" ybr="55"/>'),
        [BOX],
    ),
    "via: a list of regions": ("via", via(RECT), [BOX]),
    "via: a dictionary of regions": (
        "via",
        {"x": {"filename": A, "regions": {"0": {"shape_attributes": RECT, "region_attributes": {"a": "tire"}}}}},
        [BOX],
    ),
    "via: checkboxes": ("via", via(RECT, part={"tire": True, "hub": False}), [BOX]),
    "via: the attribute with a class of ours": ("via", via(RECT, colour="black", part="tire"), [BOX]),
    "via: the attribute with a usual name": ("via", via(RECT, colour="black", label="tyre"), [("tyre", BOX[1])]),
    "via: hull of a polygon": (
        "via",
        via({"name": "polygon", "all_points_x": [10, 60, 30], "all_points_y": [20, 30, 40]}),
        [BOX],
    ),
    "via: a circle": ("via", via({"name": "circle", "cx": 30, "cy": 30, "r": 10}), [("tire", (20, 20, 40, 40))]),
    "via: an ellipse": ("via", via({"name": "ellipse", "cx": 35, "cy": 30, "rx": 25, "ry": 10}), [BOX]),
    "via: no regions": ("via", via(), []),
    "label studio: percent": ("labelStudio", task(drawn(**XYWH)), [("tire", SHARES)]),
    "label studio: turned about its corner": (
        "labelStudio",
        task(drawn(x=50, y=50, width=25, height=25, rotation=180)),
        [("tire", (0.25, 0.25, 0.5, 0.5))],
    ),
    "label studio: a turn that keeps pixels square": (
        "labelStudio",
        task(drawn(x=50, y=0, width=25, height=25, rotation=90)),
        [("tire", (0.5 - 16 / 128, 0.0, 0.5, 32 / 64))],
    ),
    "label studio: a polygon": (
        "labelStudio",
        task(drawn("polygonlabels", points=[[25, 25], [50, 30], [30, 50]])),
        [("tire", (0.25, 0.25, 0.5, 0.5))],
    ),
    "label studio: an ellipse": (
        "labelStudio",
        task(drawn("ellipselabels", x=50, y=50, radiusX=25, radiusY=10)),
        [("tire", (0.25, 0.4, 0.75, 0.6))],
    ),
    "label studio: labels of a tag of their own": (
        "labelStudio",
        task({"type": "rectangle", "value": XYWH}, {"type": "labels", "value": {"labels": ["tire"]}}),
        [("tire", SHARES)],
    ),
    "label studio: completions of old versions": (
        "labelStudio",
        [{"data": {"image": "s3://b/x/a.jpg"}, "completions": [{"result": [drawn(**XYWH)]}]}],
        [("tire", SHARES)],
    ),
    "label studio: choices draw nothing": ("labelStudio", task({"type": "choices", "value": {"choices": ["x"]}}), []),
    "label studio: the last annotation that was not cancelled": (
        "labelStudio",
        task(
            annotations=[
                {"result": []},
                {"result": [drawn(**XYWH)]},
                {"result": [], "was_cancelled": True},
            ]
        ),
        [("tire", SHARES)],
    ),
    "label studio: the ground truth": (
        "labelStudio",
        task(annotations=[{"result": [drawn(**XYWH)], "ground_truth": True}, {"result": []}]),
        [("tire", SHARES)],
    ),
}


@pytest.mark.parametrize(("name", "file", "boxes"), GOOD.values(), ids=GOOD)
def test_reads(read: Callable[..., Read], name: str, file: Any, boxes: Boxes) -> None:
    made = read(name, file)
    [image] = made.images
    found = made.boxes(image)
    assert [kind for kind, _ in found] == [kind for kind, _ in boxes]
    for (_, corners), (_, wanted) in zip(found, boxes, strict=True):
        assert corners == pytest.approx(wanted)
    assert made.strays == []
    assert made.orphans == 0


BAD: dict[str, tuple[str, Any, str, int]] = {
    "csv: a word for a number": ("tutorialCSV", HEADER + ROW + ROW.replace(",10,", ",left,"), "BoxNotANumber", 1),
    "csv: a decimal comma": ("tutorialCSV", HEADER + 'a.jpg,128,64,tire,"10,5",20,60,40\n', "BoxNotANumber", 0),
    "csv: NaN": ("tutorialCSV", HEADER + ROW.replace(",10,", ",nan,"), "BoxNotFinite", 0),
    "csv: infinite": ("tutorialCSV", HEADER + ROW.replace(",10,", ",1e999,"), "BoxNotFinite", 0),
    "csv: a row cut short": ("tutorialCSV", HEADER + "a.jpg,128,64,tire,10,20\n", "BoxNotANumber", 0),
    "csv: no class": ("tutorialCSV", HEADER + ROW.replace("tire", ""), "ClassMissing", 0),
    "csv: rows that contradict each other": (
        "tutorialCSV",
        HEADER + ROW + ROW.replace("128", "640"),
        "EntriesContradict",
        -1,
    ),
    "coco: no bbox": ("coco", coco({"segmentation": []}), "BoxMissing", 0),
    "coco: three numbers": ("coco", coco({"bbox": [1, 2, 3]}), "BoxMissing", 0),
    "coco: a word": ("coco", coco({"bbox": [1, 2, 3, 4]}, {"bbox": [1, "x", 3, 4]}), "BoxNotANumber", 1),
    "coco: null": ("coco", coco({"bbox": [1, None, 3, 4]}), "BoxNotANumber", 0),
    "coco: true": ("coco", coco({"bbox": [1, True, 3, 4]}), "BoxNotANumber", 0),
    "coco: NaN": ("coco", coco({"bbox": [1, float("nan"), 3, 4]}), "BoxNotFinite", 0),
    "coco: a number of 400 digits": ("coco", coco({"bbox": [1, 10**400, 3, 4]}), "BoxNotANumber", 0),
    "coco: a sum beyond floats": ("coco", coco({"bbox": [1e308, 1, 1e308, 4]}), "BoxNotFinite", 0),
    "coco: unknown category": ("coco", coco({"bbox": [1, 2, 3, 4], "category_id": 91}), "CategoryMissing", 0),
    "coco: no category": ("coco", coco({"bbox": [1, 2, 3, 4], "category_id": None}), "ClassMissing", 0),
    "cvat: corner absent": ("cvat", cvat('<box label="tire" xtl="1" ytl="2" xbr="3"/>'), "BoxNotANumber", 0),
    "cvat: no label": ("cvat", cvat('<box xtl="1" ytl="2" xbr="3" ybr="4"/>'), "ClassMissing", 0),
    "cvat: points": ("cvat", cvat(CVAT_BOX, '<points label="tire" points="1,2;3,4"/>'), "BoxMissing", 1),
    "cvat: skeleton": ("cvat", cvat('<skeleton label="tire"><points points="1,2"/></skeleton>'), "BoxMissing", 0),
    "cvat: polygon of one point": ("cvat", cvat('<polygon label="tire" points="1,2"/>'), "BoxMissing", 0),
    "cvat: polygon with a word": ("cvat", cvat('<polygon label="tire" points="1,2;x,4"/>'), "BoxNotANumber", 0),
    "via: a point": ("via", via({"name": "point", "cx": 1, "cy": 2}), "BoxMissing", 0),
    "via: no width": ("via", via({"name": "rect", "x": 1, "y": 2, "height": 3}), "BoxNotANumber", 0),
    "via: lists of different lengths": (
        "via",
        via({"name": "polygon", "all_points_x": [1], "all_points_y": [1, 2]}),
        "BoxMissing",
        0,
    ),
    "via: no attributes": (
        "via",
        {"x": {"filename": A, "regions": [{"shape_attributes": RECT, "region_attributes": {}}]}},
        "ClassMissing",
        0,
    ),
    "via: several attributes": ("via", via(RECT, colour="black", shape="round"), "ClassAmbiguous", 0),
    "via: several boxes ticked": ("via", via(RECT, part={"tire": True, "hub": True}), "ClassMissing", 0),
    "via csv: no JSON": (
        "via",
        "filename,region_shape_attributes,region_attributes\na.jpg,{x},{}\n",
        "BoxMissing",
        0,
    ),
    "label studio: a brush": ("labelStudio", task(drawn("brushlabels", rle=[1])), "BoxMissing", 0),
    "label studio: a keypoint": ("labelStudio", task(drawn("keypointlabels", x=1, y=1)), "BoxMissing", 0),
    "label studio: no width": ("labelStudio", task(drawn(x=1, y=2, height=3)), "BoxNotANumber", 0),
    "label studio: no label": ("labelStudio", task(drawn(labels=[], **XYWH)), "ClassMissing", 0),
    "label studio: two labels": ("labelStudio", task(drawn(labels=["a", "b"], **XYWH)), "ClassAmbiguous", 0),
    "open images: a word": ("openImages", OPEN + "a,x,tire,1,left,0.2,0.1,0.2,0,0,0\n", "BoxNotANumber", 0),
    "open images: no class": ("openImages", OPEN + "a,x,,1,0.1,0.2,0.1,0.2,0,0,0\n", "ClassMissing", 0),
}


@pytest.mark.parametrize(("name", "file", "code", "index"), BAD.values(), ids=BAD)
def test_names_the_defect_of_an_image(read: Callable[..., Read], name: str, file: Any, code: str, index: int) -> None:
    made = read(name, file)
    [image] = made.images
    assert made.defect(image) == (code, None if index < 0 else index)


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
def test_refuses_a_file_that_may_have_lost_labels(read: Callable[..., Read], name: str, file: Any, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read(name, file)
    assert caught.value.code == code
    assert caught.value.hint


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
def test_a_bad_entry_does_not_stop_the_rest(read: Callable[..., Read], name: str, file: Any, code: str) -> None:
    made = read(name, file)
    assert made.strays == [code]
    [found] = made.images.values()
    assert isinstance(found, Annotation)


def test_coco_annotations_of_images_that_are_not_listed_are_counted(read: Callable[..., Read]) -> None:
    assert read("coco", coco({"image_id": 8, "bbox": [1, 2, 3, 4]})).orphans == 1


def test_label_studio_tasks_that_nobody_labelled_are_no_negatives(read: Callable[..., Read]) -> None:
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


@pytest.mark.parametrize(("data", "name"), NAMES.values(), ids=NAMES)
def test_label_studio_addresses_give_names(read: Callable[..., Read], data: dict[str, str], name: str) -> None:
    assert list(read("labelStudio", task(data=data)).images) == [name]


def test_coco_crowds_and_open_images_groups_are_flagged(read: Callable[..., Read]) -> None:
    found = read("coco", coco({"bbox": [1, 2, 3, 4], "iscrowd": 1}, {"bbox": [1, 2, 3, 4], "iscrowd": 0})).images[A]
    assert isinstance(found, Annotation)
    assert [item.crowd for item in found.objects] == [True, False]
    rows = OPEN + "a,x,tire,1,0.1,0.2,0.3,0.4,1,1,1\na,x,tire,1,0.1,0.2,0.3,0.4,-1,-1,0\n"
    found = read("openImages", rows).images["a"]
    assert isinstance(found, Annotation)
    flags = [(item.occluded, item.truncated, item.crowd) for item in found.objects]
    assert flags == [(True, True, True), (False, False, False)]


def test_cvat_occluded_and_shapes_are_flagged(read: Callable[..., Read]) -> None:
    shapes = (CVAT_BOX.replace("<box", '<box occluded="1"'), '<polygon label="tire" points="1,2;3,4"/>')
    found = read("cvat", cvat(*shapes)).images[A]
    assert isinstance(found, Annotation)
    assert [(item.occluded, item.shape) for item in found.objects] == [(True, ""), (False, "polygon")]


DESCRIPTIONS = "/m/01,winter hub\n/m/02,tire\n"


@pytest.mark.parametrize("first", ["boxes", "descriptions"])
@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"], ids=["bare", "header"])
def test_open_images_order_of_columns_and_names(read: Callable[..., Read], first: str, header: str) -> None:
    """XMin, XMax, YMin, YMax: the order that is read wrong most often."""
    files = [OPEN + "a,x,/m/02,1,0.1,0.2,0.3,0.4,0,0,0\n", header + DESCRIPTIONS]
    made = read("openImages", *(files if first == "boxes" else reversed(files)))
    assert made.boxes("a") == [("tire", (0.1, 0.3, 0.2, 0.4))]


def test_open_images_ids_stay_without_descriptions_or_when_asked_for(read: Callable[..., Read]) -> None:
    rows = OPEN + "a,x,/m/02,1,0.1,0.2,0.3,0.4,0,0,0\n"
    assert read("openImages", rows).boxes("a")[0][0] == "/m/02"
    assert read("openImages", rows, DESCRIPTIONS, classes=("/m/02",)).boxes("a")[0][0] == "/m/02"


def test_open_images_passes_over_what_nobody_has(read: Callable[..., Read]) -> None:
    made = read("openImages", OPEN + "nobody has it,x,/m/02,1,0.1,0.2,0.3,0.4,0,0,0\n")
    assert made.images == {}


def test_half_a_character_in_a_name_reaches_no_encoder(read: Callable[..., Read]) -> None:
    """JSON can hold half of a surrogate pair, which no file, record or database takes."""
    document = json.dumps(coco({"bbox": [1, 2, 3, 4]})).replace("a.jpg", "\\ud800.jpg").replace("tire", "\\udfff")
    made = read("coco", document)
    assert made.boxes("?.jpg")[0][0] == "?"


def test_more_objects_than_one_image_can_have(read: Callable[..., Read]) -> None:
    assert read("tutorialCSV", HEADER + ROW * 10_001).defect(A) == ("TooManyObjects", None)
