"""The files in which tools list class names: the name of each id, and nothing from other files."""

from __future__ import annotations

import json

import pytest

from trainingrun_agent.prep.source.readers import class_files
from trainingrun_agent.prep.source.readers.class_files import ClassFile

BOTH = ("tire", "winter hub")
NOTES = {
    "categories": [{"id": 1, "name": "winter hub"}, {"id": 0, "name": "tire"}],
    "info": {"year": 2024, "version": "1.0", "contributor": "Label Studio"},
}
LABEL_MAP = 'item {\n  id: 1\n  name: \'tire\'\n}\nitem {\n  name: "/m/0x"\n  id: 2\n  display_name: "winter hub"\n}\n'
LISTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "LabelImg's classes.txt": ("classes.txt", "tire\n winter hub \n\n", BOTH),
    "a byte order mark": ("classes.txt", "\ufefftire\r\nwinter hub\r\n", BOTH),
    "a blank line is an id, as darknet and LabelImg count": (
        "classes.txt",
        "tire\n\nwinter hub",
        ("tire", "", BOTH[1]),
    ),
    "Roboflow's darknet export": ("_darknet.labels", "tire\nwinter hub", BOTH),
    "Roboflow's multi-class export": ("_classes.txt", "tire\nwinter hub", BOTH),
    "CVAT's obj.names": ("obj.names", "tire\nwinter hub\n", BOTH),
    "makesense.ai's labels.txt": ("labels.txt", "tire\nwinter hub", BOTH),
    "LabelImg's own classes": ("predefined_classes.txt", "tire\nwinter hub\n", BOTH),
    "any .names": ("tires-2024.names", "tire\nwinter hub\n", BOTH),
    "a file of labels by that name": ("classes.txt", "0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.1 0.1\n", ()),
    "an empty file": ("classes.txt", "\n \n", ()),
    "data.yaml, a list": ("data.yaml", "nc: 2\nnames: ['tire', \"winter hub\"]\n", BOTH),
    "data.yaml, a block": ("data.yaml", "names:\n- tire\n- winter hub\n", BOTH),
    "data.yaml, ids with a gap": ("data.yml", "names:\n  3: hub\n  0: tire\n", ("tire", "", "", "hub")),
    "data.yaml, ids of two digits": ("coco.yaml", "names: {10: c, 1: b, 0: a}", ("a", "b", *[""] * 8, "c")),
    "data.yaml, values that YAML would convert": ("data.yaml", "names: [yes, 1, null]", ("yes", "1", "null")),
    "data.yaml without names": ("data.yaml", "nc: 2\n", ()),
    "data.yaml, broken": ("data.yaml", "names: [", ()),
    "data.yaml, a bomb": ("data.yaml", "a: &a [x,x]\nb: &b [*a,*a]\nnames: [*b,*b]\n", ("", "")),
    "data.yaml, a huge id": ("data.yaml", "names: {0: a, 99999999: b}", ("a",)),
    "data.yaml, nested deep": ("data.yaml", "[" * 5000, ()),
    "Label Studio's notes.json": ("notes.json", json.dumps(NOTES), BOTH),
    "other notes": ("notes.json", '["remember the milk"]', ()),
    "broken notes": ("notes.json", '{"categories": [', ()),
    "a label map, whose ids begin with 1": ("tf_label_map.pbtxt", LABEL_MAP, BOTH),
    "a label map whose ids begin with 0": ("label_map.pbtxt", "item{id:0 name:'a'} item{name:'b' id:1}", ("a", "b")),
    "another .pbtxt": ("graph.pbtxt", 'node { name: "a" }', ()),
}


@pytest.mark.parametrize(("name", "text", "names"), LISTS.values(), ids=LISTS)
def test_a_list_gives_each_id_its_name(name: str, text: str, names: tuple[str, ...]) -> None:
    assert class_files.rank(name) is not None
    assert class_files.read(name, text.encode()).names == names


KEYPOINTS = {
    "x and y": ("kpt_shape: [2, 2]\nnames: [tire]", (2, 2)),
    "none, so that polygons are polygons": ("kpt_shape: [0, 0]", (0, 0)),
    "with visibility": ("kpt_shape: [17, 3]", (17, 3)),
    "four values": ("kpt_shape: [17, 4]", None),
    "one number": ("kpt_shape: 17", None),
    "none": ("names: [tire]", None),
}


@pytest.mark.parametrize(("text", "shape"), KEYPOINTS.values(), ids=KEYPOINTS)
def test_data_yaml_says_what_keypoints_an_object_has(text: str, shape: tuple[int, int] | None) -> None:
    assert class_files.read("data.yaml", text.encode()).keypoints == shape


def test_obj_data_names_its_list() -> None:
    text = b"classes = 2\ntrain = data/train.txt\nnames = data\\tires.names\nbackup = backup/\n"
    assert class_files.read("obj.data", text) == ClassFile(instead="tires.names")


@pytest.mark.parametrize("name", ["notes.txt", "a.txt", "a.json", "names", "train.txt", "a.xml", "classes.txt.bak"])
def test_other_files_list_no_classes(name: str) -> None:
    assert class_files.rank(name) is None
