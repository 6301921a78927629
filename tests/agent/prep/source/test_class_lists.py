"""Which list of class names gives the ids in YOLO labels their names, and what is reported about lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prep_in_memory import Preparation, seen
from trainingrun_agent.errors import UserError
from voc_data import jpeg

LABELIMG = (
    b"dog\nperson\ncat\ntv\ncar\nmeatballs\nmarinara sauce\ntomato soup\nchicken noodle soup\nfrench onion soup\n"
    b"chicken breast\nribs\npulled pork\nhamburger\ncavity\ntire\n"
)
SOME = b"nc: 3\nnames: [person, rim, tire]\n"
NOTES = b'{"categories": [{"id": 0, "name": "person"}, {"id": 1, "name": "rim"}, {"id": 2, "name": "tire"}]}'
Told = list[tuple[str, str]]


@pytest.fixture
def yolo(tmp_path: Path) -> Preparation:
    """A train source without files, and no eval source."""
    return Preparation(tmp_path, eval=None)


def label(prep: Preparation, *ids: int, folder: str = "train/", labels: str = "") -> None:
    """Add an image with one box for each id, with its label file beside it or in the folder `labels`."""
    for number, ident in enumerate(ids):
        prep.memory.objects[f"{folder}{number}.jpg"] = jpeg(seed=f"{folder}{number}")
        prep.memory.objects[f"{labels or folder}{number}.txt"] = f"{ident} 0.5 0.5 0.2 0.2\n".encode()


def put(prep: Preparation, **files: str | bytes) -> None:
    """Store files; `__` in a name is a slash, the last `_` a dot."""
    for name, data in files.items():
        path = ".".join(name.replace("__", "/").rsplit("_", 1))
        prep.memory.objects[path] = data if isinstance(data, bytes) else data.encode()


def per_class(prep: Preparation) -> dict[str, int]:
    """Number of boxes in the training records by class."""
    counts: dict[str, int] = prep.document("report.json")["splits"]["train"]["perClass"]
    return counts


def told(prep: Preparation) -> Told:
    """File and text of each finding."""
    report: dict[str, Any] = prep.document("report.json")
    return [(f"{one['code']} {one['file']}", seen(one)) for one in report["findings"]]


def test_a_list_with_names_never_used_gives_the_ids_and_classes_selects_by_name(yolo: Preparation) -> None:
    label(yolo, 15, 15)
    put(yolo, train__classes_txt=LABELIMG)
    yolo.run()
    assert per_class(yolo) == {"tire": 2}
    assert told(yolo) == [("ClassListUsed classes.txt", "16 class names; by class id: 15 tire")]


def test_all_names_of_the_list_are_answered_with_the_names_that_have_objects(yolo: Preparation) -> None:
    label(yolo, 15, 15)
    put(yolo, train__classes_txt=LABELIMG)
    yolo.classes = tuple(LABELIMG.decode().splitlines())
    with pytest.raises(UserError) as caught:
        yolo.run()
    assert caught.value.reason == "ClassNotFound"
    assert "spec.dataset.classes: [tire];" in caught.value.hint


def test_classes_in_another_order_than_the_list_are_not_swapped(yolo: Preparation) -> None:
    """CVAT's obj.names stands above its obj_train_data."""
    label(yolo, 0, 0, 1, folder="train/obj_train_data/")
    put(yolo, train__obj_names="car\ntire\n", train__obj_data="classes = 2\nnames = data/obj.names\n")
    yolo.classes = ("tire", "car")
    yolo.run()
    assert per_class(yolo) == {"tire": 1, "car": 2}


def test_a_list_that_is_equal_to_the_classes_is_not_worth_a_word(yolo: Preparation) -> None:
    label(yolo, 0, 1)
    put(yolo, train__classes_txt="tire\nrim\n", train__data_yaml="names: [tire, rim]")
    yolo.classes = ("tire", "rim")
    yolo.run()
    assert told(yolo) == []


def test_without_a_list_ids_are_positions_in_the_classes(yolo: Preparation) -> None:
    label(yolo, 0, 0, 1)
    yolo.classes = ("tire", "rim")
    yolo.run()
    assert (per_class(yolo), told(yolo)) == ({"tire": 2, "rim": 1}, [])


FILES = ("classes.txt", "_classes.txt", "labels.txt", "classes.names", "obj.names", "tires.names", "_darknet.labels")
LISTS: dict[str, bytes] = {
    **dict.fromkeys(FILES, b"person\nrim\ntire\n"),
    "predefined_classes.txt": b"person\nrim\ntire\n",
    "data.yaml": SOME,
    "dataset.yml": SOME,
    "tires.yaml": b"names: {0: person, 2: tire}",
    "notes.json": NOTES,
    "label_map.pbtxt": b"item { id: 3 name: 'tire' } item { id: 1 name: 'person' }",
}


@pytest.mark.parametrize("folder", ["train/a/labels/", "train/", "", "elsewhere/"])
@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_found_beside_the_labels_and_above_them(yolo: Preparation, name: str, folder: str) -> None:
    """Two folders above the source count too; those of other data sets do not."""
    yolo.train = replace(yolo.train, key="top/of/train/")
    label(yolo, 2, folder="top/of/train/a/images/", labels="top/of/train/a/labels/")
    yolo.memory.objects[f"top/of/{folder}{name}" if folder.startswith("train") else f"top/{folder}{name}"] = LISTS[name]
    yolo.max_bad_files = "100%"
    if folder == "elsewhere/":
        with pytest.raises(UserError):
            yolo.run()
        assert told(yolo)[0][1] == "class id 2, but spec.dataset.classes has 1 name: ids go from 0 to 0"
    else:
        yolo.run()
        assert per_class(yolo) == {"tire": 1}


@pytest.mark.parametrize("folder", ["labels/train/", "labels/", ""])
@pytest.mark.parametrize("name", ["classes.txt", "data.yaml", "obj.names"])
def test_a_list_is_found_where_labels_lie_beside_the_source(yolo: Preparation, name: str, folder: str) -> None:
    yolo.train = replace(yolo.train, key="ds/images/train/")
    label(yolo, 2, folder="ds/images/train/", labels="ds/labels/train/")
    yolo.memory.objects[f"ds/{folder}{name}"] = LISTS[name]
    yolo.run()
    assert per_class(yolo) == {"tire": 1}
    assert (f"ClassListUsed ../../{folder}{name}", "3 class names; by class id: 2 tire") in told(yolo)


def test_the_shape_of_keypoints_is_read_above_a_nearer_list(yolo: Preparation) -> None:
    """Boxes with two keypoints of x and y have as many numbers as a polygon of four corners."""
    label(yolo, 0)
    yolo.memory.objects["train/0.txt"] = b"0 0.50 0.50 0.20 0.10 0.45 0.48 0.55 0.53\n"
    put(yolo, train__classes_txt="tire\n", data_yaml="names: [tire]\nkpt_shape: [2, 2]\n")
    yolo.run()
    [csv] = [data for key, data in yolo.memory.objects.items() if key.endswith("train_labels.csv")]
    assert [float(cell) for cell in csv.decode().splitlines()[1].split(",")[-4:]] == [64, 54, 96, 66]


def test_the_nearest_list_wins_and_a_stale_one_below_is_told(yolo: Preparation) -> None:
    label(yolo, 1, folder="train/images/", labels="train/labels/")
    put(
        yolo,
        train__labels__classes_txt="rim\ntire\n",
        train__labels__old__classes_txt="tire\nrim\n",
        train__data_yaml=SOME,
    )
    yolo.classes = ("tire",)
    yolo.run()
    assert per_class(yolo) == {"tire": 1}
    assert told(yolo) == [
        (
            "ClassListUnused data.yaml",
            "lists person, rim, tire; the ids of the labels mean what labels/classes.txt says",
        ),
        (
            "ClassListUnused labels/old/classes.txt",
            "lists tire, rim; the ids of the labels mean what labels/classes.txt says",
        ),
        ("ClassListUsed labels/classes.txt", "2 class names; by class id: 1 tire"),
    ]


def test_each_folder_has_its_own_list(yolo: Preparation) -> None:
    """LabelImg writes one into each folder, in the order in which the classes were first used."""
    label(yolo, 0, folder="train/a/")
    label(yolo, 0, 0, folder="train/b/")
    put(yolo, train__a__classes_txt="tire\nrim\n", train__b__classes_txt="rim\ntire\n")
    yolo.classes = ("tire", "rim")
    yolo.run()
    assert per_class(yolo) == {"tire": 1, "rim": 2}


def test_the_list_that_obj_data_names_comes_before_those_of_others(yolo: Preparation) -> None:
    """Darknet's data/ has coco.names and voc.names, too."""
    label(yolo, 1, folder="train/obj/")
    put(
        yolo, train__coco_names="person\ntire\n", train__zz_names="rim\ntire\n", train__obj_data="names = data/zz.names"
    )
    yolo.run()
    assert per_class(yolo) == {"tire": 1}
    assert ("ClassListUsed zz.names", "2 class names; by class id: 1 tire") in told(yolo)


def test_a_list_of_another_data_set_above_the_source_is_not_ours(yolo: Preparation) -> None:
    label(yolo, 0)
    put(yolo, coco128_yaml="names: [person, bicycle]")
    yolo.run()
    assert (per_class(yolo), told(yolo)) == ({"tire": 1}, [])


def test_a_list_elsewhere_is_used_if_there_is_only_one(yolo: Preparation) -> None:
    label(yolo, 1, folder="train/images/", labels="train/labels/")
    put(yolo, train__cfg__tires_names="rim\ntire\n")
    yolo.run()
    assert per_class(yolo) == {"tire": 1}


def test_lists_elsewhere_that_differ_are_refused(yolo: Preparation) -> None:
    label(yolo, 1, folder="train/images/", labels="train/labels/")
    put(yolo, train__a__tires_names="rim\ntire\n", train__b__tires_names="tire\nrim\n")
    with pytest.raises(UserError) as caught:
        yolo.run()
    assert caught.value.reason == "ClassListMismatch"
    assert "a/tires.names and b/tires.names list different class names" in caught.value.message
    yolo.memory.objects["train/labels/classes.txt"] = b"rim\ntire\n"
    yolo.run()
    assert per_class(yolo) == {"tire": 1}


def test_lists_without_end_are_refused(yolo: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun_agent.prep.source.class_lists.MAX_BYTES", 30)
    for name in "abc":
        label(yolo, 0, folder=f"train/{name}/")
        yolo.memory.objects[f"train/{name}/classes.txt"] = f"tire\n{name}{name}{name}{name}{name}\n".encode()
    with pytest.raises(UserError) as caught:
        yolo.run()
    assert caught.value.reason == "ClassListMismatch"
    assert "c/classes.txt" in caught.value.message


UNREADABLE = {
    "broken YAML": ("train/data.yaml", b"nc: 2\nnames: [rim, tire\n", "not valid: it is not YAML, line 3"),
    "broken YAML above": ("data.yaml", b"names:\n\t0: rim\n", "not valid: it is not YAML, line 2"),
    "broken JSON": ("train/notes.json", b'{"categories": [', "not valid: it is not JSON"),
    "too large": ("train/classes.txt", b"rim\n" * 70_000, "of 280000 bytes; at most 262144 bytes are read"),
    "too long": ("train/classes.txt", b"r\n" * 50_001, "not valid: it has more than 50000 lines"),
}


@pytest.mark.parametrize(("key", "data", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_list_that_cannot_be_read_does_not_make_ids_positions_in_the_classes(
    yolo: Preparation, key: str, data: bytes, text: str
) -> None:
    yolo.classes = ("tire",)
    label(yolo, 0)
    yolo.memory.objects[key] = data
    with pytest.raises(UserError):
        yolo.run()
    [(file, seen_)] = told(yolo)
    assert file == f"ClassListUnreadable {key.removeprefix('train/') if key.startswith('train/') else f'../{key}'}"
    assert seen_.endswith(text)


def test_a_list_that_cannot_be_read_is_not_missed_where_another_is(yolo: Preparation) -> None:
    label(yolo, 1)
    put(yolo, train__classes_txt="rim\ntire\n", train__data_yaml="names: [rim")
    yolo.run()
    assert per_class(yolo) == {"tire": 1}
    assert [file for file, _ in told(yolo)] == ["ClassListUsed classes.txt"]


def test_an_object_of_a_class_that_is_not_asked_for_is_told_by_its_name(yolo: Preparation) -> None:
    label(yolo, 2, 1)
    put(yolo, train__data_yaml=SOME)
    yolo.max_bad_files = "1"
    yolo.run()
    assert (
        "UnknownClass 1.txt",
        "class 'rim' is not in spec.dataset.classes",
    ) in told(yolo)


def test_an_id_beyond_the_list_names_the_list(yolo: Preparation) -> None:
    label(yolo, 2, 3)
    put(yolo, train__data_yaml=SOME)
    yolo.max_bad_files = "1"
    yolo.run()
    assert ("UnknownClass 1.txt", "class id 3, which data.yaml does not name: its ids go from 0 to 2") in told(yolo)


@pytest.mark.parametrize("key", ["data.yaml", "train/data.yaml"])
def test_a_changed_list_changes_the_data_set_and_its_records(yolo: Preparation, key: str) -> None:
    """Above the source it is in no listing of the source."""
    label(yolo, 0, 0, 1)
    yolo.classes = ("tire", "rim")
    yolo.memory.objects[key] = b"names: [tire, rim]"
    first = yolo.run()
    assert per_class(yolo) == {"tire": 2, "rim": 1}
    assert yolo.run().reused
    yolo.memory.objects[key] = b"names: [rim, tire]"
    for path in [path for path in yolo.memory.objects if path.endswith("report.json")]:
        del yolo.memory.objects[path]
    assert yolo.run().digest != first.digest
    assert per_class(yolo) == {"tire": 1, "rim": 2}


def test_a_changed_shape_of_keypoints_changes_the_data_set(yolo: Preparation) -> None:
    label(yolo, 0)
    yolo.memory.objects["data.yaml"] = b"names: [tire]"
    first = yolo.run()
    yolo.memory.objects["data.yaml"] = b"names: [tire]\nkpt_shape: [2, 2]"
    assert yolo.run().digest != first.digest


def test_a_list_that_changes_while_it_is_read_is_told(yolo: Preparation) -> None:
    label(yolo, 0)
    put(yolo, train__classes_txt="tire\n")
    yolo.max_bad_files = "1"
    get = yolo.memory.get
    yolo.memory.get = lambda key, **rest: get(key, **rest)[: 2 if key.endswith("classes.txt") else None]  # type: ignore[method-assign]
    with pytest.raises(UserError) as caught:
        yolo.run()
    assert caught.value.reason == "DataChanged"


def test_a_list_is_not_compared_with_classes_that_nobody_gave(yolo: Preparation) -> None:
    label(yolo, 0)
    put(yolo, train__classes_txt=b"tire\n")
    yolo.classes = ()
    with pytest.raises(UserError):
        yolo.run()
    assert "ClassListUsed" not in {name.partition(" ")[0] for name, _ in told(yolo)}
