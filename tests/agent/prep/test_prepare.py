"""Preparation as a whole: layout, determinism, reuse, and SIGTERM."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from prep_in_memory import Preparation
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import Interrupted, UserError
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.s3 import S3Store
from trainingrun_agent.training_settings import Uri
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


def test_writes_the_documented_layout(prep: Preparation, contract: Callable[[str, Any], None]) -> None:
    prep.add("negative", xml=voc([]))
    made = prep.run()
    manifest = prep.document("MANIFEST.json")
    contract("manifest", manifest)
    contract("report", prep.document("report.json"))
    assert prep.memory.puts[-1] == made.manifest_key == f"ml/datasets/{made.digest}/MANIFEST.json"
    assert [entry["role"] for entry in manifest["objects"]] == ROLES
    for entry in manifest["objects"]:
        base = "ml/" if entry["key"].startswith("datasets/") else f"ml/datasets/{made.digest}/"
        data = prep.memory.objects[base + entry["key"]]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])
    train = prep.document("report.json")["splits"]["train"]
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
    records = sum(entry["size"] for entry in manifest["objects"] if entry["role"] == "trainRecords")
    assert (made.train_bytes, made.record_bytes) == (records, records // 4)


def test_the_manifest_names_the_producer_of_the_request_whatever_the_progress_shows(prep: Preparation) -> None:
    prep.progress = Progress(stage="prep", pod_uid="shown")
    prep.progress.update(epoch=9)
    prep.run()
    producer = prep.document("MANIFEST.json")["producer"]
    assert (producer["podUID"], producer["epoch"]) == ("pod-1", 0)


def test_counts_flagged_objects(prep: Preparation) -> None:
    flags = "<difficult>1</difficult><occluded>1</occluded><truncated>0</truncated>"
    prep.add("t0", xml=voc([labelled(extra=flags), labelled()]))
    prep.run()
    assert prep.document("report.json")["splits"]["train"]["flags"] == {"difficult": 1, "occluded": 1, "truncated": 0}


def test_writes_the_tutorials_csv(prep: Preparation) -> None:
    prep.add("t0", xml=voc([labelled(), labelled(box=(1.5, 2, 200, 30))]))
    made = prep.run()
    lines = prep.memory.objects[f"ml/datasets/{made.digest}/train_labels.csv"].decode().splitlines()
    assert lines[:3] == [
        "filename,width,height,class,xmin,ymin,xmax,ymax",
        "t0.jpg,160,120,tire,10,20,60,80",
        "t0.jpg,160,120,tire,1.5,2,160,30",
    ]


def test_same_data_gives_the_same_bytes(prep: Preparation) -> None:
    prep.classes = ("tire", "hub")
    for index in range(40):
        prep.add(f"more {index}", jpeg(seed=index), voc([labelled(), labelled("hub")]))
    first = prep.run()
    blobs = prep.blobs()
    for key in [key for key in prep.memory.objects if key.startswith("ml/")]:
        del prep.memory.objects[key]
    again = prep.run()
    assert not again.reused
    assert (again.digest, prep.blobs()) == (first.digest, blobs)


def test_the_second_run_reuses(prep: Preparation) -> None:
    first = prep.run()
    prep.memory.puts.clear()
    prep.memory.gets.clear()
    again = prep.run()
    assert again == replace(first, reused=True, numbers={**first.numbers, "reused": True})
    assert prep.memory.puts == []
    assert prep.memory.gets == [first.manifest_key]


@pytest.mark.parametrize("suffix", [".tfrecord", "label_map.pbtxt", "report.json"])
@pytest.mark.parametrize("damage", ["deleted", "cut"])
def test_a_data_set_is_reused_only_if_its_objects_are_complete(prep: Preparation, suffix: str, damage: str) -> None:
    prep.run()
    key = next(key for key in prep.memory.objects if key.endswith(suffix))
    whole = prep.memory.objects.pop(key)
    if damage == "cut":
        prep.memory.objects[key] = whole[:-1]
    assert not prep.run().reused
    assert prep.memory.objects[key] == whole


def test_a_broken_manifest_is_written_anew(prep: Preparation) -> None:
    first = prep.run()
    prep.memory.objects[first.manifest_key] = b"{"
    assert not prep.run().reused
    assert prep.run().reused


CHANGES: dict[str, Callable[[Preparation], Any]] = {
    "image": lambda prep: prep.add("t0", jpeg(seed=77)),
    "annotation": lambda prep: prep.add("t0", jpeg(seed=0), voc([labelled(box=(1, 2, 30, 40))])),
    "one more image": lambda prep: prep.add("t9"),
    "classes": lambda prep: setattr(prep, "classes", ("tire", "hub")),
    "maxImageSide": lambda prep: setattr(prep, "max_image_side", 64),
    "intensityRange": lambda prep: setattr(prep, "intensity_range", (0, 16383)),
    "maxBadFiles": lambda prep: setattr(prep, "max_bad_files", "3"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_data_set_changes_the_digest(prep: Preparation, change: Callable[[Preparation], Any]) -> None:
    for name in ("t0", "t1"):
        prep.add(name, jpeg(seed=int(name[1])), voc([labelled(), labelled("hub")]))
    prep.classes = ("hub", "tire")
    first = prep.run()
    change(prep)
    second = prep.run()
    assert second.digest != first.digest
    assert not second.reused


def test_labels_in_a_folder_of_their_own_are_a_part_of_the_digest(prep: Preparation) -> None:
    first = prep.run()
    for name in ("t0", "t1", "t2"):
        xml = prep.memory.objects.pop(f"train/{name}.xml", None)
        if xml is not None:
            prep.memory.objects[f"labels/a/{name}.xml"] = prep.memory.objects[f"labels/b/{name}.xml"] = xml
    prep.train = replace(prep.train, labels=Uri("detectors", "labels/a/"))
    named = prep.run()
    prep.train = replace(prep.train, labels=Uri("detectors", "labels/b/"))
    other = prep.run()
    prep.memory.objects["labels/b/t0.xml"] = voc([labelled(box=(1, 2, 30, 40))])
    changed = prep.run()
    assert len({made.digest for made in (first, named, other, changed)}) == 4
    assert not changed.reused
    assert prep.run().digest == changed.digest


def test_labels_beside_the_images_are_a_part_of_the_digest(prep: Preparation) -> None:
    for key in [key for key in prep.memory.objects if key.startswith("train/")]:
        folder = "set/images/train" if key.endswith(".jpg") else "set/labels/train"
        prep.memory.objects[key.replace("train", folder, 1)] = prep.memory.objects.pop(key)
    prep.train = replace(prep.train, key="set/images/train/")
    first = prep.run()
    assert first.train_images
    [told] = [one for one in prep.document("report.json")["findings"] if one["code"] == "LabelsElsewhere"]
    assert told["file"] == "../../labels/train/"
    prep.memory.objects["set/labels/train/t0.xml"] = voc([labelled(box=(1, 2, 30, 40))])
    second = prep.run()
    assert (second.digest != first.digest, second.reused) == (True, False)


def test_other_files_change_nothing(prep: Preparation) -> None:
    first = prep.run()
    prep.memory.objects["train/notes.txt"] = b"x"
    prep.memory.objects["train/.t0.jpg"] = b"x"
    prep.memory.objects["train/sub/"] = b""
    assert prep.run().digest == first.digest


def test_reads_a_voc_tree_by_image_set(prep: Preparation) -> None:
    for name in ("a", "b", "c"):
        prep.memory.objects[f"tree/JPEGImages/{name}.jpg"] = jpeg()
        prep.memory.objects[f"tree/Annotations/{name}.xml"] = voc()
    prep.memory.objects["tree/ImageSets/Main/train.txt"] = b"\xef\xbb\xbfa\r\nb  1\r\n\r\n"
    prep.memory.objects["tree/ImageSets/Main/val.txt"] = b"c\n"
    prep.train = replace(prep.train, key="tree/", image_set="train")
    prep.eval = replace(prep.eval, key="tree/", image_set="val")
    made = prep.run()
    assert (made.train_images, made.eval_images) == (2, 1)


def test_an_unknown_image_set_is_named_with_the_known_ones(prep: Preparation) -> None:
    prep.memory.objects["train/ImageSets/Main/trainval.txt"] = b"a\n"
    prep.train = replace(prep.train, image_set="training")
    with pytest.raises(
        UserError, match=r"dataset\.train\.imageSet.*training\.txt does not exist; sets there: trainval"
    ) as caught:
        prep.run()
    assert caught.value.reason == "ImageSetNotFound"


def test_stops_when_asked_to(prep: Preparation) -> None:
    before = threading.active_count()
    prep.stop.set()
    with pytest.raises(Interrupted):
        prep.run()
    assert prep.memory.puts == []
    assert threading.active_count() == before
    assert list(prep.scratch.iterdir()) == []


@pytest.mark.s3
def test_works_with_an_s3_server(prep: Preparation, s3_config: AgentConfig, s3_store: S3Store) -> None:
    for key, data in prep.memory.objects.items():
        s3_store.put(key, data)
    prep.store = s3_store
    made = prep.run()
    assert made.train_images == 3
    assert prep.run() == replace(made, reused=True, numbers={**made.numbers, "reused": True})
    assert s3_store.head(made.manifest_key) is not None
