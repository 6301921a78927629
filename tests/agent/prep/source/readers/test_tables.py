"""Tables of boxes under other names than the tutorial's, or without a header; and Create ML."""

from __future__ import annotations

import pytest

from label_samples import BOX, A, read
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.source.readers import FORMATS
from trainingrun_agent.prep.source.readers.box_csv import missing_columns, recognises

TABLES = {
    "RetinaNet: no header": "a.jpg,10,20,60,40,tire\n",
    "RetinaNet: an image without objects first": "nothing.jpg,,,,,\na.jpg,10,20,60,40,tire\n",
    "RetinaNet: paths": "/home/me/pics/a.jpg,10,20,60,40,tire\n",
    "makesense.ai: no header": "tire,10,20,50,20,a.jpg,128,64\n",
    "the tutorial's without header": "a.jpg,128,64,tire,10,20,60,40\n",
    "VoTT": '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",10.0,20.0,60.0,40.0,"tire"\n',
    "without width and height": "filename,class,xmin,ymin,xmax,ymax\na.jpg,tire,10,20,60,40\n",
    "x, y, w, h": "image_name,x,y,w,h,label\na.jpg,10,20,50,20,tire\n",
    "bbox_x …, and the image's size": (
        "image_name,image_width,image_height,label_name,bbox_x,bbox_y,bbox_width,bbox_height\n"
        "a.jpg,128,64,tire,10,20,50,20\n"
    ),
    "x_min": "Image ID,X_Min,Y_Min,X_Max,Y_Max,Class Name\na.jpg,10,20,60,40,tire\n",
    "x0, y0, x1, y1": "image,x0,y0,x1,y1,class\na.jpg,10,20,60,40,tire\n",
    "x1, y1, width, height": "image,x1,y1,width,height,label\na.jpg,10,20,50,20,tire\n",
    "bbox_x1": "fname,bbox_x1,bbox_y1,bbox_x2,bbox_y2,class\na.jpg,10,20,60,40,tire\n",
    "upper_left_x": ("image,upper_left_x,upper_left_y,lower_right_x,lower_right_y,label\na.jpg,10,20,60,40,tire\n"),
    "the image's size before the box's": "filename,width,height,x,y,w,h,class\na.jpg,128,64,10,20,50,20,tire\n",
    "a number of the class before its name": "filename,class,label,xmin,ymin,xmax,ymax\na.jpg,3,tire,10,20,60,40\n",
    "semicolons, no header": "a.jpg;10;20;60;40;tire\n",
    "byte order mark, no header": "\ufeffa.jpg,10,20,60,40,tire\n",
    "quotes, no header": '"a.jpg","10","20","60","40","tire"\n',
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_a_table_of_boxes_is_read_right(text: str) -> None:
    assert recognises(text.encode())
    found = next(boxes for name, boxes in read("csv", text).images.items() if name.endswith(A))
    assert isinstance(found, Annotation)
    assert [(item.name, item.corners) for item in found.objects] == [BOX]


def test_sizes_of_the_image_are_used_and_their_absence_is_no_defect() -> None:
    for text, size in ((TABLES["makesense.ai: no header"], (128, 64)), (TABLES["VoTT"], (0, 0))):
        found = read("csv", text).images[A]
        assert isinstance(found, Annotation)
        assert (found.width, found.height, found.sized) == (*size, False)


def test_an_image_alone_in_its_line_has_no_objects() -> None:
    made = read("csv", TABLES["RetinaNet: an image without objects first"])
    assert made.boxes("nothing.jpg") == []


OTHERS = {
    "no class": "image,x1,y1,x2,y2\na.jpg,1,2,3,4\n",
    "no box": "image,label\na.jpg,tire\n",
    "the same column twice": "image,label,x1,y1,x2\na.jpg,tire,1,2,3\n",
    "numbers without an image": "1,2,3,4,5,6\n",
    "four corners, of which two would be a line": (
        "image,x1,y1,x2,y2,x3,y3,x4,y4,label\na.jpg,10,20,60,20,60,40,10,40,tire\n"
    ),
    "four corners from 0": "image,x0,y0,x1,y1,x2,y2,x3,y3,label\na.jpg,10,20,60,20,60,40,10,40,tire\n",
    "turned boxes": "image,label,x,y,width,height,angle\na.jpg,tire,35,30,50,20,45\n",
    "centres": "image,label,x_center,y_center,width,height\na.jpg,tire,35,30,50,20\n",
    "RetinaNet's classes": "tire,0\nhub,1\n",
    "a row that does not fit": "a.jpg,10,20,60,40,tire\nb.jpg,10,20,60,40\n",
    "half a box": "a.jpg,10,20,,,tire\n",
    "the tutorial's table": "filename,width,height,class,xmin,ymin,xmax,ymax\n",
    "nothing": "",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_any_other_table_is_none(text: str) -> None:
    assert not recognises(text.encode())


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("no class", "the class"),
        ("turned boxes", "an upright box"),
        ("centres", "the box"),
        ("the tutorial's table", ""),
    ],
)
def test_a_table_says_what_it_has_no_column_for(name: str, lacking: str) -> None:
    assert missing_columns(OTHERS[name].encode()) == lacking


def test_a_table_that_is_asked_for_but_has_no_boxes_names_its_columns() -> None:
    with pytest.raises(UnusableError, match="AnnotationFormat: the first line is 'image,label'"):
        read("csv", OTHERS["no box"])


def test_a_defect_names_its_line_with_or_without_header() -> None:
    for text, line in (
        ("b.jpg,10,20,60,40,tire\n" * 4 + "a.jpg,x,20,60,40,tire\n", 5),
        ("image,x1,y1,x2,y2,label\na.jpg,x,2,3,4,tire\n", 2),
    ):
        found = read("csv", text).images[A]
        assert isinstance(found, UnusableError)
        assert (found.code, found.fields["where"]) == ("BoxNotANumber", f"line {line}")


CREATE_ML = {
    "as Roboflow writes it": [
        {"image": A, "annotations": [{"label": "tire", "coordinates": {"x": 35, "y": 30, "width": 50, "height": 20}}]}
    ],
    "as Apple's sample has it": [
        {
            "imagefilename": A,
            "annotation": [{"coordinates": {"y": 30, "x": 35, "height": 20, "width": 50}, "label": "tire"}],
        }
    ],
    "one annotation without a list": [
        {"image": A, "annotations": {"label": "tire", "coordinates": {"x": 35, "y": 30, "width": 50, "height": 20}}}
    ],
    "the second of two lists": [
        {
            "image": A,
            "annotations": [],
            "annotation": [{"label": "tire", "coordinates": {"x": 35, "y": 30, "width": 50, "height": 20}}],
        }
    ],
}


@pytest.mark.parametrize("document", CREATE_ML.values(), ids=CREATE_ML)
def test_create_ml_has_the_centre_of_a_box(document: object) -> None:
    assert read("createML", document).boxes(A) == [BOX]


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"label": "tire"}, "BoxMissing"),
        ({"coordinates": {}}, "ClassMissing"),
        ({"label": "tire", "coordinates": {"x": 1, "y": 2, "width": "wide", "height": 3}}, "BoxNotANumber"),
        ("a text", "ClassMissing"),
    ],
)
def test_a_defect_of_create_ml_is_that_of_its_image(part: object, code: str) -> None:
    made = read("createML", [{"image": A, "annotations": [part]}, {"annotations": []}])
    assert made.strays == ["ImageNameMissing"]
    found = made.images[A]
    assert isinstance(found, UnusableError)
    assert found.code == code


def test_no_other_json_is_create_ml() -> None:
    for head in (
        b'[{"image": "a.jpg", "label": []}]',
        b'[{"annotations": []}]',
        b'{"image": "a.jpg", "annotations": []}',
    ):
        assert not FORMATS["createML"].recognises(head)
