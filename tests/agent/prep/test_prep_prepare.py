"""Preparation as a whole: layout, determinism, reuse, and being told to stop."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from prep_lab import Lab
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import Interrupted, UserError
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, labelled, voc

ROLES = [
    "trainRecords",
    "trainRows",
    "evalRecords",
    "evalRows",
    "labelMap",
    "report",
    "reportPage",
    "trainCSV",
    "evalCSV",
]


def test_writes_the_documented_layout(lab: Lab, contract: Callable[[str, Any], None]) -> None:
    lab.add("negative", xml=voc([]))
    made = lab.run()
    manifest = lab.document("MANIFEST.json")
    contract("manifest", manifest)
    contract("report", lab.document("report.json"))
    assert lab.memory.puts[-1] == made.manifest_key == f"ml/datasets/{made.digest}/MANIFEST.json"
    assert [entry["role"] for entry in manifest["objects"]] == ROLES
    for entry in manifest["objects"]:
        home = "ml/" if entry["key"].startswith("datasets/") else f"ml/datasets/{made.digest}/"
        data = lab.memory.objects[home + entry["key"]]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])
    train = lab.document("report.json")["splits"]["train"]
    assert sum(train.pop("statistics")["centres"]) == 3
    assert train == {
        "format": "pascalVOC",
        "images": 4,
        "objects": 3,
        "negatives": 1,
        "badFiles": 0,
        "perClass": {"tire": 3},
        "flags": {"difficult": 0, "occluded": 0, "truncated": 0},
    }
    assert (made.train_images, made.eval_images, made.max_boxes_per_image, made.reused) == (4, 1, 1, False)


def test_the_manifest_names_the_producer_of_the_request_whatever_the_progress_shows(lab: Lab) -> None:
    lab.progress = Progress(stage="prep", pod_uid="shown")
    lab.progress.update(epoch=9)
    lab.run()
    producer = lab.document("MANIFEST.json")["producer"]
    assert (producer["podUID"], producer["epoch"]) == ("pod-1", 0)


def test_counts_what_the_labels_flag(lab: Lab) -> None:
    flags = "<difficult>1</difficult><occluded>1</occluded><truncated>0</truncated>"
    lab.add("t0", xml=voc([labelled(extra=flags), labelled()]))
    lab.run()
    assert lab.document("report.json")["splits"]["train"]["flags"] == {"difficult": 1, "occluded": 1, "truncated": 0}


def test_writes_the_tutorials_csv(lab: Lab) -> None:
    lab.add("t0", xml=voc([labelled(), labelled(box=(1.5, 2, 200, 30))]))
    made = lab.run()
    lines = lab.memory.objects[f"ml/datasets/{made.digest}/train_labels.csv"].decode().splitlines()
    assert lines[:3] == [
        "filename,width,height,class,xmin,ymin,xmax,ymax",
        "t0.jpg,160,120,tire,10,20,60,80",
        "t0.jpg,160,120,tire,1.5,2,160,30",
    ]


def test_progress_ends_with_everything_done(lab: Lab) -> None:
    lab.run()
    snapshot = lab.progress.snapshot()
    assert (snapshot["phase"], snapshot["unit"]) == ("writing", "bytes")
    assert (
        snapshot["done"]
        == snapshot["total"]
        == sum(len(data) for key, data in lab.memory.objects.items() if "/blobs/" in key)
    )


def test_same_data_gives_the_same_bytes(lab: Lab) -> None:
    lab.classes = ("tire", "hub")
    for index in range(40):
        lab.add(f"more {index}", jpeg(seed=index), voc([labelled(), labelled("hub")]))
    first = lab.run()
    blobs = lab.blobs()
    for key in [key for key in lab.memory.objects if key.startswith("ml/")]:
        del lab.memory.objects[key]
    again = lab.run()
    assert not again.reused
    assert (again.digest, lab.blobs()) == (first.digest, blobs)


def test_the_second_run_reuses(lab: Lab) -> None:
    first = lab.run()
    lab.memory.puts.clear()
    lab.memory.gets.clear()
    again = lab.run()
    assert again == replace(first, reused=True, numbers={**first.numbers, "reused": True})
    assert lab.memory.puts == []
    assert lab.memory.gets == [first.manifest_key]


@pytest.mark.parametrize("suffix", [".tfrecord", "label_map.pbtxt", "report.json"])
@pytest.mark.parametrize("damage", ["deleted", "cut"])
def test_a_hit_is_believed_only_when_its_objects_are_there(lab: Lab, suffix: str, damage: str) -> None:
    lab.run()
    key = next(key for key in lab.memory.objects if key.endswith(suffix))
    whole = lab.memory.objects.pop(key)
    if damage == "cut":
        lab.memory.objects[key] = whole[:-1]
    assert not lab.run().reused
    assert lab.memory.objects[key] == whole


def test_a_broken_manifest_is_written_anew(lab: Lab) -> None:
    first = lab.run()
    lab.memory.objects[first.manifest_key] = b"{"
    assert not lab.run().reused
    assert lab.run().reused


CHANGES: dict[str, Callable[[Lab], Any]] = {
    "image": lambda lab: lab.add("t0", jpeg(seed=77)),
    "annotation": lambda lab: lab.add("t0", jpeg(seed=0), voc([labelled(box=(1, 2, 30, 40))])),
    "one more image": lambda lab: lab.add("t9"),
    "classes": lambda lab: setattr(lab, "classes", ("tire", "hub")),
    "maxImageSide": lambda lab: setattr(lab, "max_image_side", 64),
    "maxBadFiles": lambda lab: setattr(lab, "max_bad_files", "3"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_data_set_changes_the_digest(lab: Lab, change: Callable[[Lab], Any]) -> None:
    for name in ("t0", "t1"):
        lab.add(name, jpeg(seed=int(name[1])), voc([labelled(), labelled("hub")]))
    lab.classes = ("hub", "tire")
    first = lab.run()
    change(lab)
    second = lab.run()
    assert second.digest != first.digest
    assert not second.reused


def test_other_files_change_nothing(lab: Lab) -> None:
    first = lab.run()
    lab.memory.objects["train/notes.txt"] = b"x"
    lab.memory.objects["train/.t0.jpg"] = b"x"
    lab.memory.objects["train/sub/"] = b""
    assert lab.run().digest == first.digest


def test_reads_a_voc_tree_by_image_set(lab: Lab) -> None:
    for name in ("a", "b", "c"):
        lab.memory.objects[f"tree/JPEGImages/{name}.jpg"] = jpeg()
        lab.memory.objects[f"tree/Annotations/{name}.xml"] = voc()
    lab.memory.objects["tree/ImageSets/Main/train.txt"] = b"\xef\xbb\xbfa\r\nb  1\r\n\r\n"
    lab.memory.objects["tree/ImageSets/Main/val.txt"] = b"c\n"
    lab.train = replace(lab.train, key="tree/", image_set="train")
    lab.eval = replace(lab.eval, key="tree/", image_set="val")
    made = lab.run()
    assert (made.train_images, made.eval_images) == (2, 1)


def test_an_unknown_image_set_is_named_with_the_known_ones(lab: Lab) -> None:
    lab.memory.objects["train/ImageSets/Main/trainval.txt"] = b"a\n"
    lab.train = replace(lab.train, image_set="training")
    with pytest.raises(UserError, match=r"dataset\.train\.imageSet.*training\.txt; sets there: trainval") as caught:
        lab.run()
    assert caught.value.reason == "ImageSetNotFound"


def test_stops_when_told_to(lab: Lab) -> None:
    before = threading.active_count()
    lab.stop.set()
    with pytest.raises(Interrupted):
        lab.run()
    assert lab.memory.puts == []
    assert threading.active_count() == before
    assert list(lab.scratch.iterdir()) == []


def test_works_on_the_wire(lab: Lab, s3_config: AgentConfig, s3_store: S3Store) -> None:
    for key, data in lab.memory.objects.items():
        s3_store.put(key, data)
    lab.store = s3_store
    made = lab.run()
    assert made.train_images == 3
    assert lab.run() == replace(made, reused=True, numbers={**made.numbers, "reused": True})
    assert s3_store.head(made.manifest_key) is not None
