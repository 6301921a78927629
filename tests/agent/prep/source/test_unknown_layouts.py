"""Folders whose labels are in no format that is read: the message names what lies there and the way out."""

from __future__ import annotations

import json

import pytest

from prep_in_memory import Preparation
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.source.unknown_layouts import layout_of
from voc_data import jpeg


def document(value: object) -> bytes:
    return json.dumps(value).encode()


SEEN: dict[str, tuple[str, bytes, str]] = {
    "pixels in YOLO's layout": ("a.txt", b"305 120 40 200 80\n", "text with coordinates in pixels"),
    "boxes without a class": ("a.txt", b"20 30 60 80\n", "four numbers per line and no class"),
    "boxes without a class, with commas": ("a.txt", b"0.2, 0.3, 0.6, 0.8\n", "four numbers per line and no class"),
    "names in YOLO's layout": ("a.txt", b"tire 0.5 0.5 0.2 0.2\n", "a class name and four numbers per line"),
    "KITTI": (
        "a.txt",
        b"Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n",
        "KITTI",
    ),
    "MOT": ("gt/gt.txt", b"1,1,912,484,97,109,0,7,1\n", "MOT text"),
    "BBox-Label-Tool": ("Labels/001/a.txt", b"1\n80 8 172 111\n", "BBox-Label-Tool text"),
    "PennFudan": ("a.txt", b"# Compatible with PASCAL Annotation Version 1.00\nImage", "PASCAL Annotation 1.00 text"),
    "a table without class": (
        "a.csv",
        b"image_id,width,height,bbox,source\nx,1,2,'[1,2,3,4]',y\n",
        "CSV that begins with 'image_id,width,height,bbox,source' and has no column for the class and the box",
    ),
    "a table of classes": ("a.csv", b"image,label\na.jpg,tire\n", "has no column for the box"),
    "VoTT": ("a-asset.json", document({"asset": {"name": "a.jpg"}, "regions": [{"tags": ["x"]}]}), "VoTT JSON"),
    "VoTT's export": ("x-export.json", document({"name": "x", "assets": {"1": {}}}), "VoTT JSON"),
    "Supervisely": (
        "a.mp4.json",
        document({"size": {"height": 1}, "objects": [], "frames": []}),
        "Supervisely JSON of a video",
    ),
    "Datumaro": ("default.json", document({"info": {}, "categories": {"label": {}}, "items": []}), "Datumaro JSON"),
    "VIA 3": (
        "v.json",
        document({"project": {}, "config": {}, "attribute": {}, "view": {}, "metadata": {}}),
        "Annotator 3",
    ),
    "Create ML in another layout": (
        "c.json",
        document([{"image": "a.jpg", "annotations": [{"label": "x", "box": [1, 2, 3, 4]}]}]),
        "Create ML whose annotations have no label and coordinates",
    ),
    "Create ML with other keys": (
        "c.json",
        document([{"path": "a.jpg", "annotations": [{"label": "x", "boundingBox": {"x": 1}}]}]),
        "Create ML whose annotations have no label and coordinates",
    ),
    "BDD100K": ("b.json", document([{"name": "a.jpg", "labels": [{"box2d": {}}]}]), "Scalabel or BDD100K JSON"),
    "COCO results": ("r.json", document({"annotations": [{"bbox": [1, 2, 3, 4]}]}), "COCO without its list `images`"),
    "detections": (
        "d.json",
        document([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9}]),
        "COCO results: what a detector has found",
    ),
    "Hasty": ("h.json", document({"images": [{"image_name": "a.jpg", "labels": []}]}), "Hasty JSON"),
    "Dataloop": ("d.json", document({"id": "1", "datasetId": "2", "annotations": []}), "Dataloop JSON"),
    "V7": ("v.json", document({"version": "2.0", "item": {"name": "a.jpg"}, "annotations": []}), "V7 Darwin JSON"),
    "YOLO Keras": ("_annotations.txt", b"a.jpg 10,20,60,80,0 1,2,3,4,1\n", "YOLO Keras text"),
    "WIDER FACE": ("w.txt", b"0--Parade/a.jpg\n1\n449 330 122 149 0 0 0 0 0 0\n", "WIDER FACE text"),
    "ICDAR": ("gt_a.txt", b"377,117,463,117,465,130,378,130,Genaxis Theatre\n", "ICDAR text"),
    "another JSON": ("o.json", document({"boxes": [], "picture": "a"}), "JSON with the keys boxes, picture"),
    "dlib": ("d.xml", b"<?xml version='1.0'?>\n<dataset><images/></dataset>", "dlib's imglab XML"),
    "another XML": ("o.xml", b"<frames><frame/></frames>", "XML whose root is <frames>"),
    "MATLAB": ("a.mat", b"MATLAB 5.0", "MATLAB files"),
    "an archive": ("labels.zip", b"PK", "archives"),
    "TFRecords": ("train.tfrecord", b"x", "TFRecords"),
    "masks": ("masks/a.png", jpeg(), "masks"),
}


@pytest.mark.parametrize(("path", "data", "text"), SEEN.values(), ids=SEEN)
def test_the_refusal_names_what_lies_there_and_the_way_out(
    prep: Preparation, path: str, data: bytes, text: str
) -> None:
    prep.eval = None
    prep.memory.objects.clear()
    prep.memory.objects.update({"train/a.jpg": jpeg(), f"train/{path}": data})
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "FormatNotRecognised"
    assert text in caught.value.message
    assert f"such as {path})" in caught.value.message
    assert "Upload the labels" not in caught.value.hint
    assert "{" not in caught.value.hint.replace("{x,", "")


@pytest.mark.parametrize(
    ("suffix", "head"),
    [
        (".txt", b"a photo of a tire"),
        (".txt", b""),
        (".json", b"[1, 2]"),
        (".csv", b"just text"),
        (".xml", b"<annotation/>"),
        (".yaml", b"nc: 2"),
    ],
)
def test_what_is_hardly_labels_is_not_named(suffix: str, head: bytes) -> None:
    assert layout_of(suffix, head) is None


def test_the_most_frequent_layout_comes_first_and_photos_are_no_label_files(prep: Preparation) -> None:
    prep.eval = None
    prep.memory.objects.clear()
    files = {f"{name}.txt": b"tire 1 2 3 4" for name in "abc"} | {"x.mat": b"", "notes.json": b'{"by": 1}'}
    prep.memory.objects.update({f"train/{path}": data for path, data in {"a.jpg": jpeg(), **files}.items()})
    with pytest.raises(UserError) as caught:
        prep.run()
    message = caught.value.message
    assert message.index("(3 files, such as a.txt)") < message.index("MATLAB")
    assert "a.jpg" not in message
