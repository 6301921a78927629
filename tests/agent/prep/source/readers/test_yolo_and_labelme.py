"""Pitfalls of YOLO and LabelMe, which have a label file per image: right boxes, or one named defect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from label_reading import Corners, file_format
from label_samples import SUPERVISELY, SUPERVISELY_MASK
from prep_in_memory import Preparation
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.source.readers import Context
from voc_data import jpeg

CLASSES = ("tire", "winter hub")
LINE = "0 0.5 0.5 0.25 0.5"
SHARES: Corners = (0.375, 0.25, 0.625, 0.75)
BOX: Corners = (10.0, 20.0, 60.0, 40.0)


def yolo(data: str | bytes) -> Annotation:
    return file_format("yolo").read(data if isinstance(data, bytes) else data.encode(), Context(CLASSES, CLASSES))


def labelme(*shapes: Any, **changes: Any) -> Annotation:
    document = {"shapes": list(shapes), "imagePath": "a.jpg", "imageWidth": 128, "imageHeight": 64, **changes}
    return file_format("labelMe").read(json.dumps(document).encode(), Context(CLASSES, CLASSES))


def shape(kind: str | None = "rectangle", points: Any = ((10, 20), (60, 40)), **changes: Any) -> dict[str, Any]:
    return {"label": "tire", "points": points, "shape_type": kind, **changes}


YOLO_GOOD: dict[str, tuple[str | bytes, list[tuple[str, Corners]]]] = {
    "a box": (LINE, [("tire", SHARES)]),
    "ids from 0": ("1 0.5 0.5 0.25 0.5\n", [("winter hub", SHARES)]),
    "empty file": ("", []),
    "blank lines": (f"\n{LINE}\n\n \n", [("tire", SHARES)]),
    "Windows line ends": (f"{LINE}\r\n{LINE}\r\n", [("tire", SHARES)] * 2),
    "tabs": (LINE.replace(" ", "\t"), [("tire", SHARES)]),
    "byte order mark": ("\ufeff" + LINE, [("tire", SHARES)]),
    "UTF-16": (LINE.encode("utf-16"), [("tire", SHARES)]),
    "exponents": ("0 5e-1 5E-1 2.5e-1 .5", [("tire", SHARES)]),
    "ids written as floating-point numbers": (
        "1.0 0.5 0.5 0.25 0.5\n0.000000000000000000e+00 0.5 0.5 0.25 0.5",
        [("winter hub", SHARES), ("tire", SHARES)],
    ),
    "a polygon of a segmentation": ("0 0.375 0.25 0.625 0.5 0.5 0.75", [("tire", SHARES)]),
}


@pytest.mark.parametrize(("data", "boxes"), YOLO_GOOD.values(), ids=YOLO_GOOD)
def test_yolo_reads(data: str | bytes, boxes: list[tuple[str, Corners]]) -> None:
    made = yolo(data)
    assert [(item.name, (item.xmin, item.ymin, item.xmax, item.ymax)) for item in made.objects] == boxes
    assert [item.index for item in made.objects] == list(range(len(boxes)))
    assert made.relative


YOLO_BAD = {
    "an id beyond the classes": ("2 0.5 0.5 0.25 0.5", "UnknownClass"),
    "a name for an id": ("tire 0.5 0.5 0.25 0.5", "ClassIdInvalid"),
    "a negative id": ("-1 0.5 0.5 0.25 0.5", "ClassIdInvalid"),
    "a part of an id": ("0.5 0.5 0.5 0.25 0.5", "ClassIdInvalid"),
    "an id in other digits": ("\u0661 0.5 0.5 0.25 0.5", "ClassIdInvalid"),
    "an id of a thousand digits": ("9" * 1000 + " 0.5 0.5 0.25 0.5", "ClassIdInvalid"),
    "commas": ("0,0.5,0.5,0.25,0.5", "ClassIdInvalid"),
    "decimal commas": ("0 0,5 0,5 0,25 0,5", "BoxNotANumber"),
    "three numbers": ("0 0.5 0.5 0.25", "BoxColumns"),
    "an id alone": ("0", "BoxColumns"),
    "a word": ("0 0.5 0.5 wide 0.5", "BoxNotANumber"),
    "NaN": ("0 nan 0.5 0.25 0.5", "BoxNotFinite"),
    "infinite": ("0 0.5 0.5 1e999 0.5", "BoxNotFinite"),
    "a sum beyond floats": ("0 1.7e308 0.5 1.7e308 0.5", "BoxNotFinite"),
}


@pytest.mark.parametrize(("line", "code"), YOLO_BAD.values(), ids=YOLO_BAD)
def test_yolo_names_the_defect(line: str, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        yolo(f"{LINE}\n\n{line}\n")
    assert (caught.value.code, caught.value.index) == (code, 1)
    assert str(caught.value).startswith(f"{caught.value.code}: ")


@pytest.mark.parametrize(("line", "known"), [("1.0 0.5 0.5 0.25 0.5", True), ("0.5 0.5 0.5 0.25 0.5", False)])
def test_yolo_is_recognised_by_ids_written_as_floating_point_numbers(line: str, known: bool) -> None:
    assert file_format("yolo").recognises(line.encode()) is known


def test_yolo_refuses_binary_files() -> None:
    with pytest.raises(UnusableError) as caught:
        yolo(b"\x89PNG\r\n\xff\xfe")
    assert caught.value.code == "AnnotationMalformed"


def test_yolo_ids_counted_from_one_are_explained() -> None:
    with pytest.raises(UnusableError) as caught:
        yolo("2 0.5 0.5 0.25 0.5")
    assert str(caught.value) == "UnknownClass: class id 2, but spec.dataset.classes has 2 names: ids go from 0 to 1"


PIXELS = "0 64 32 32 32"


def test_pixel_coordinates_in_yolo_labels_are_refused() -> None:
    with pytest.raises(UnusableError) as caught:
        yolo(f"{LINE}\n{PIXELS}").in_pixels(128, 64)
    assert (caught.value.code, caught.value.index) == ("BoxNotNormalised", 1)
    assert caught.value.fields == {"corners": [48, 16, 80, 48]}


ROUNDED = {
    "exact": ("0 0.5 0.5 1 1", (0, 0, 128, 64)),
    "six digits beyond the edge": ("0 0.500001 0.500001 1 1", (0.000128, 0.000064, 128, 64)),
    "far beyond the edge": ("0 0.6 0.5 1 1", (0.1 * 128, 0, 1.1 * 128, 64)),
}


@pytest.mark.parametrize(("line", "corners"), ROUNDED.values(), ids=ROUNDED)
def test_rounding_beyond_the_edge_is_corrected(line: str, corners: Corners) -> None:
    [item] = yolo(line).in_pixels(128, 64)
    assert (item.xmin, item.ymin, item.xmax, item.ymax) == pytest.approx(corners)


LABELME_GOOD: dict[str, tuple[dict[str, Any], Corners, str]] = {
    "a rectangle": (shape(), BOX, ""),
    "corners in drag order": (shape(points=[[60, 40], [10, 20]]), (60, 40, 10, 20), ""),
    "a rectangle of four points": (shape(points=[[10, 20], [60, 20], [60, 40], [10, 40]]), BOX, ""),
    "a polygon": (shape("polygon", [[10, 20], [60, 30], [30, 40]]), BOX, "polygon"),
    "a polygon of an old version": (shape(None, [[10, 20], [60, 30], [30, 40]]), BOX, "polygon"),
    "two points of an old version": (shape(None), BOX, ""),
    "a circle": (shape("circle", [[30, 30], [36, 38]]), (20, 20, 40, 40), "circle"),
    "a mask": (shape("mask", mask="iVBORw0KGgo="), BOX, "mask"),
    "a turned box": (shape("rotation", [[10, 30], [35, 20], [60, 30], [35, 40]]), BOX, "rotation"),
    "a crack drawn as a line": (shape("linestrip", [[10, 20], [60, 30], [30, 40]]), BOX, "linestrip"),
    "a straight line": (shape("line"), BOX, "line"),
    "an oriented rectangle": (
        shape("oriented_rectangle", [[10, 30], [35, 20], [60, 30], [35, 40]]),
        BOX,
        "oriented_rectangle",
    ),
    "numbers as texts": (shape(points=[["10", "20"], ["60.0", "40"]]), BOX, ""),
}


@pytest.mark.parametrize(("drawn", "corners", "kind"), LABELME_GOOD.values(), ids=LABELME_GOOD)
def test_labelme_reads(drawn: dict[str, Any], corners: Corners, kind: str) -> None:
    made = labelme(drawn)
    [item] = made.objects
    assert (item.name, item.xmin, item.ymin, item.xmax, item.ymax, item.shape) == ("tire", *corners, kind)
    assert (made.filename, made.width, made.height) == ("a.jpg", 128, 64)


LABELME_BAD: dict[str, tuple[Any, str]] = {
    "a point": (shape("point", [[1, 2]]), "BoxMissing"),
    "a rectangle of one point": (shape(points=[[1, 2]]), "BoxMissing"),
    "no points": (shape(points=None), "BoxMissing"),
    "a point of one number": (shape(points=[[1], [2, 3]]), "BoxMissing"),
    "a point that is a text": (shape(points=["12", "34"]), "BoxMissing"),
    "a word": (shape(points=[[1, "x"], [2, 3]]), "BoxNotANumber"),
    "NaN": (shape(points=[[1, float("nan")], [2, 3]]), "BoxNotFinite"),
    "infinite": (shape(points=[[1, float("inf")], [2, 3]]), "BoxNotFinite"),
    "a circle beyond floats": (shape("circle", [[1e308, 0], [-1e308, 0]]), "BoxNotFinite"),
    "no label": (shape(label=""), "ClassMissing"),
    "a label that is no text": (shape(label=["tire"]), "ClassMissing"),
    "a shape that is a number": (5, "ClassMissing"),
}


@pytest.mark.parametrize(("drawn", "code"), LABELME_BAD.values(), ids=LABELME_BAD)
def test_labelme_names_the_defect(drawn: Any, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        labelme(shape(), drawn)
    assert (caught.value.code, caught.value.index) == (code, 1)
    assert str(caught.value).startswith(f"{caught.value.code}: ")


def test_labelme_without_size_and_without_shapes() -> None:
    made = labelme(imageWidth=None, imageHeight=None)
    assert (made.width, made.height, made.objects) == (0, 0, ())


def test_labelme_flags() -> None:
    made = labelme(shape(flags={"difficult": True, "occluded": True}), shape(difficult=True), shape(flags=None))
    assert [(item.difficult, item.occluded, item.truncated) for item in made.objects] == [
        (True, True, False),
        (True, False, False),
        (False, False, False),
    ]


def test_labelme_embedded_images_of_any_size_are_skipped() -> None:
    assert labelme(shape(), imageData="QUJD" * 1_000_000).objects


LABELME_FILES = {
    "empty": (b"", "AnnotationEmpty"),
    "cut off": (b'{"shapes": [', "AnnotationMalformed"),
    "an array": (b"[]", "AnnotationFormat"),
    "without shapes": (b"{}", "AnnotationFormat"),
    "nested deep": (b"[" * 100_000, "AnnotationMalformed"),
    "binary": (bytes(range(256)), "AnnotationMalformed"),
    "labels of 3 MB": (b'{"shapes": "' + b"x" * 3_000_000 + b'"}', "AnnotationTooLarge"),
}


@pytest.mark.parametrize(("data", "code"), LABELME_FILES.values(), ids=LABELME_FILES)
def test_labelme_refuses_by_name(data: bytes, code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        file_format("labelMe").read(data, Context(CLASSES, CLASSES))
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{caught.value.code}: ")


TRIANGLES = ([[10, 20], [30, 20], [20, 30]], [[40, 30], [60, 40], [50, 35]])
PARTS: dict[str, tuple[list[dict[str, Any]], list[Corners]]] = {
    "the same group and class": ([shape("polygon", one, group_id=1) for one in TRIANGLES], [BOX]),
    "without a group": (
        [shape("polygon", one, group_id=None) for one in TRIANGLES],
        [(10, 20, 30, 30), (40, 30, 60, 40)],
    ),
    "other classes": (
        [shape("polygon", one, group_id=1, label=name) for one, name in zip(TRIANGLES, CLASSES, strict=True)],
        [(10, 20, 30, 30), (40, 30, 60, 40)],
    ),
    "boxes of a crowd": ([shape(group_id=1), shape(points=[[0, 0], [9, 9]], group_id=1)], [BOX, (0, 0, 9, 9)]),
    "a part after another object": (
        [shape("polygon", TRIANGLES[0], group_id=0), shape(), shape("polygon", TRIANGLES[1], group_id=0)],
        [BOX, BOX],
    ),
}


@pytest.mark.parametrize(("drawn", "boxes"), PARTS.values(), ids=PARTS)
def test_polygons_of_a_group_are_one_object(drawn: list[dict[str, Any]], boxes: list[Corners]) -> None:
    """LabelMe's own exports to COCO and VOC join them; read one by one, each part was an object."""
    made = labelme(*drawn)
    assert [item.corners for item in made.objects] == boxes
    joined = len(drawn) - len(boxes)
    assert [(kind.code, fields) for kind, fields in made.notes] == [("PartsJoined", {"count": joined})] * bool(joined)


def supervisely(*objects: dict[str, Any]) -> Annotation:
    document = {**SUPERVISELY, "objects": list(objects)}
    return file_format("labelMe").read(json.dumps(document).encode(), Context(CLASSES, CLASSES))


def figure(kind: str, **changes: Any) -> dict[str, Any]:
    return {"classTitle": "tire", "geometryType": kind, **changes}


def test_supervisely_reads() -> None:
    made = supervisely(
        *SUPERVISELY["objects"], figure("polygon", points={"exterior": [[10, 20], [60, 30], [30, 40]], "interior": []})
    )
    assert [(item.index, item.name, item.corners, item.shape) for item in made.objects] == [
        (0, "tire", BOX, ""),
        (1, "tire", BOX, "bitmap"),
        (2, "tire", BOX, "polygon"),
    ]
    assert (made.width, made.height) == (128, 64)


MASK = SUPERVISELY_MASK
SUPERVISELY_BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a point": (figure("point", points={"exterior": [[1, 2]]}), "BoxMissing"),
    "a graph": (figure("graph", nodes={}), "BoxMissing"),
    "no geometry": ({"classTitle": "tire"}, "BoxMissing"),
    "no points": (figure("polygon"), "BoxMissing"),
    "a word": (figure("rectangle", points={"exterior": [[1, "x"], [2, 3]]}), "BoxNotANumber"),
    "no class": (figure("rectangle", classTitle="", points={"exterior": [[1, 2], [3, 4]]}), "ClassMissing"),
    "a mask without a place": (figure("bitmap", bitmap={"data": MASK}), "BoxMissing"),
    "a mask that is no text": (figure("bitmap", bitmap={"data": 5, "origin": [1, 2]}), "BoxMissing"),
    "a mask that is not packed": (figure("bitmap", bitmap={"data": "QUJD", "origin": [1, 2]}), "BoxMissing"),
    "a mask that is cut": (figure("bitmap", bitmap={"data": MASK[:20], "origin": [1, 2]}), "BoxMissing"),
    "an object that is a number": (5, "BoxMissing"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("one", "code"), SUPERVISELY_BAD.values(), ids=SUPERVISELY_BAD)
def test_supervisely_names_the_defect(one: dict[str, Any], code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        supervisely(SUPERVISELY["objects"][0], one)
    assert (caught.value.code, caught.value.index) == (code, 1)


def test_a_project_of_supervisely_is_prepared(tmp_path: Path) -> None:
    prep = Preparation(tmp_path)
    prep.eval = None
    prep.memory.objects |= {
        "train/meta.json": b'{"classes": [{"title": "tire", "shape": "rectangle"}], "tags": []}',
        "train/ds 1/img/a.jpg": jpeg(128, 64),
        "train/ds 1/ann/a.jpg.json": json.dumps({**SUPERVISELY, "objects": SUPERVISELY["objects"][:1]}).encode(),
    }
    made = prep.run()
    assert (made.train_images, made.max_boxes_per_image, prep.codes()) == (1, 1, {})
