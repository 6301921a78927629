"""Pitfalls of formats that keep the labels of all images in one file: the right boxes, or the defect of the image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from label_reading import Corners
from label_samples import BOX, CVAT_BOX, HEADER, OPEN, RECT, ROW, SHARES, XYWH, A, coco, cvat, drawn, read, task, via

Boxes = list[tuple[str, Corners]]

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
    "cvat: an ellipse turned by a quarter": (
        "cvat",
        cvat('<ellipse label="tire" rotation="270" cx="35" cy="30" rx="10" ry="25"/>'),
        [BOX],
    ),
    "cvat: a circle turned by an eighth is a circle": (
        "cvat",
        cvat('<ellipse label="tire" rotation="45" cx="35" cy="30" rx="10" ry="10"/>'),
        [("tire", (25.0, 20.0, 45.0, 40.0))],
    ),
    "cvat: an ellipse turned by an eighth": (
        "cvat",
        cvat('<ellipse label="tire" rotation="45" cx="50" cy="50" rx="20" ry="10"/>'),
        [("tire", (34.188612, 34.188612, 65.811388, 65.811388))],
    ),
    "cvat: a cuboid": (
        "cvat",
        cvat(
            '<cuboid label="tire" xtl1="10" ytl1="25" xbl1="10" ybl1="40" xtr1="50" ytr1="25" xbr1="50" ybr1="40"'
            ' xtl2="20" ytl2="20" xbl2="20" ybl2="35" xtr2="60" ytr2="20" xbr2="60" ybr2="35"/>'
        ),
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
    "via: the attribute with a class of the run": ("via", via(RECT, colour="black", part="tire"), [BOX]),
    "via: the attribute with a usual name": ("via", via(RECT, colour="black", label="tyre"), [("tyre", BOX[1])]),
    "via: hull of a polygon": (
        "via",
        via({"name": "polygon", "all_points_x": [10, 60, 30], "all_points_y": [20, 30, 40]}),
        [BOX],
    ),
    "via: a circle": ("via", via({"name": "circle", "cx": 30, "cy": 30, "r": 10}), [("tire", (20, 20, 40, 40))]),
    "via: an ellipse": ("via", via({"name": "ellipse", "cx": 35, "cy": 30, "rx": 25, "ry": 10}), [BOX]),
    "via: an ellipse turned by a quarter": (
        "via",
        via({"name": "ellipse", "cx": 35, "cy": 30, "rx": 10, "ry": 25, "theta": 1.5707963267948966}),
        [BOX],
    ),
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
    "label studio: a circle turned by an eighth is a circle": (
        "labelStudio",
        task(drawn("ellipselabels", x=50, y=50, radiusX=12.5, radiusY=25, rotation=45)),
        [("tire", (0.375, 0.25, 0.625, 0.75))],
    ),
    "label studio: labels in a separate tag": (
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
def test_reads(name: str, file: Any, boxes: Boxes) -> None:
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
    "label studio: labelled on a turned image": (
        "labelStudio",
        task({**drawn(**XYWH), "image_rotation": 90}),
        "ImageTurned",
        0,
    ),
    "label studio: regions on two images": (
        "labelStudio",
        task({**drawn(**XYWH), "to_name": "left"}, {**drawn(**XYWH), "to_name": "right"}),
        "EntriesContradict",
        0,
    ),
    "label studio: turned without the image's size": (
        "labelStudio",
        task({**drawn(**XYWH, rotation=30), "original_width": None}),
        "BoxMissing",
        0,
    ),
    "label studio: no width": ("labelStudio", task(drawn(x=1, y=2, height=3)), "BoxNotANumber", 0),
    "label studio: no label": ("labelStudio", task(drawn(labels=[], **XYWH)), "ClassMissing", 0),
    "label studio: two labels": ("labelStudio", task(drawn(labels=["a", "b"], **XYWH)), "ClassAmbiguous", 0),
    "open images: a word": ("openImages", OPEN + "a,x,tire,1,left,0.2,0.1,0.2,0,0,0\n", "BoxNotANumber", 0),
    "open images: no class": ("openImages", OPEN + "a,x,,1,0.1,0.2,0.1,0.2,0,0,0\n", "ClassMissing", 0),
}


@pytest.mark.parametrize(("name", "file", "code", "index"), BAD.values(), ids=BAD)
def test_names_the_defect_of_an_image(name: str, file: Any, code: str, index: int) -> None:
    made = read(name, file)
    [image] = made.images
    assert made.defect(image) == (code, None if index < 0 else index)
