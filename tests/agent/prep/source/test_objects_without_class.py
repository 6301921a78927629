"""Label files in which no object has a class: with one class to be trained, every object is of it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from label_samples import HEADER, RECT, XYWH, coco, drawn, task, via
from label_sets import HEIGHT, WIDTH
from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError
from voc_data import jpeg

BALLOON = {"a.jpg1": {"filename": "a.jpg", "regions": {"0": {"shape_attributes": RECT, "region_attributes": {}}}}}
BOXES = [{"bbox": [10, 20, 50, 20]}, {"bbox": [60, 20, 50, 20]}]
RECTANGLE = {"type": "rectangle", "value": XYWH}
VIA_HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
REGION = 'a.jpg,1,"{}",1,0,"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":20}","{}"\n'
WITHOUT: dict[str, tuple[str, Any, int]] = {
    "VIA 1, as in the balloon tutorial": ("via.json", BALLOON, 1),
    "VIA 2, an attribute without value": ("via.json", via(RECT, {**RECT, "x": 60}, part=""), 2),
    "VIA as CSV": ("via.csv", VIA_HEADER + REGION, 1),
    "COCO without categories": ("coco.json", coco(*BOXES, categories=[]), 2),
    "COCO without ids of categories": ("coco.json", coco(*[{**one, "category_id": None} for one in BOXES]), 2),
    "regions of Label Studio without labels": ("tasks.json", task(RECTANGLE), 1),
    "CSV with an empty column": ("labels.csv", HEADER + "a.jpg,128,64,,10,20,60,40\n", 1),
}


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    """A train source with one image and no labels."""
    made = Preparation(tmp_path, eval=None)
    made.memory.objects["train/a.jpg"] = jpeg(WIDTH, HEIGHT)
    return made


def put(prep: Preparation, name: str, content: Any) -> None:
    """Store a label file; a document becomes JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    prep.memory.objects[f"train/{name}"] = text.encode()


def told(prep: Preparation) -> list[tuple[str, str]]:
    """Code and file, and text, of each finding."""
    report: dict[str, Any] = prep.document("report.json")
    return [(f"{one['code']} {one['file']}", seen(one)) for one in report["findings"]]


@pytest.mark.parametrize(("name", "content", "boxes"), WITHOUT.values(), ids=WITHOUT)
def test_with_one_class_every_object_is_of_it(prep: Preparation, name: str, content: Any, boxes: int) -> None:
    put(prep, name, content)
    assert prep.run().numbers["trainObjects"] == boxes
    assert prep.document("report.json")["splits"]["train"]["perClass"] == {"tire": boxes}
    texts = {1: "1 object has no class", 2: "2 objects have no class"}
    assert told(prep)[-1] == (f"ClassAssumed {name}", texts[boxes])


@pytest.mark.parametrize(("name", "content", "boxes"), WITHOUT.values(), ids=WITHOUT)
def test_with_several_classes_it_is_one_error(prep: Preparation, name: str, content: Any, boxes: int) -> None:
    put(prep, name, content)
    prep.classes = ("tire", "hub")
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "EmptyTrainSet"
    objects = "object" if boxes == 1 else "objects"
    assert told(prep) == [(f"ClassesMissing {name}", f"none of its {boxes} {objects} has a class")]
    assert prep.document("report.json")["splits"]["train"]["badFiles"] == 2  # the file and the image


CLASSED: dict[str, tuple[Any, str]] = {
    "VIA": ({**via(RECT), "b": {"filename": "b.jpg", "regions": BALLOON["a.jpg1"]["regions"]}}, "ClassMissing"),
    "COCO, two ids": (coco(BOXES[0], {**BOXES[1], "category_id": 3}, categories=[]), "CategoryMissing"),
    "COCO, an id that is not among the categories": (coco({**BOXES[0], "category_id": 8}), "CategoryMissing"),
    "Label Studio": (task(RECTANGLE, drawn(**XYWH)), "ClassMissing"),
}


@pytest.mark.parametrize(("content", "code"), CLASSED.values(), ids=CLASSED)
def test_where_other_objects_have_a_class_one_without_is_an_error(prep: Preparation, content: Any, code: str) -> None:
    prep.memory.objects["train/b.jpg"] = jpeg(WIDTH, HEIGHT, seed="b")
    put(prep, "labels.json", content)
    prep.max_bad_files = "100%"
    with suppress(UserError):  # where no image is left
        prep.run()
    assert code in prep.codes()
