"""Preparing again: images that were checked before are not read again, and the data set is the same byte by byte."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prep_lab import Lab
from trainingrun_agent.errors import ObjectChanged, UserError
from trainingrun_agent.prep.sharding.job import ShardJob
from trainingrun_agent.prep.sharding.worker import OpenShard, ShardWorker
from trainingrun_agent.prep.split import shards
from voc_data import jpeg, labelled, voc

IMAGES = 60


@pytest.fixture
def lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Some images in eight shards; a few of them have findings."""
    size = sum(len(data) for key, data in lab.memory.objects.items() if key.endswith(".jpg"))
    for number in range(IMAGES):
        lab.add(f"image {number}", xml=voc([labelled(), labelled(box=(-5, 1, 50, 60))]) if number % 7 == 0 else None)
        size += len(lab.memory.objects[f"train/image {number}.jpg"])
    lab.max_bad_files = "10%"
    lab.add("bad", jpeg(seed="bad")[:-2])
    monkeypatch.setattr(shards, "TARGET_BYTES", size // 7)
    return lab


def reads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Images read from now on."""
    found: list[str] = []
    get = lab.memory.get

    def noted(key: str, *, max_bytes: int, etag: str = "") -> bytes:
        if key.endswith(".jpg"):
            found.append(key)
        return get(key, max_bytes=max_bytes, etag=etag)

    monkeypatch.setattr(lab.memory, "get", noted)
    monkeypatch.setattr("trainingrun_agent.prep.prepare.gallery", lambda *_, **__: ())  # the report shows some again
    return found


def data_set(lab: Lab, digest: str) -> dict[str, bytes]:
    """The objects that its manifest names, by role and key."""
    manifest = json.loads(lab.memory.objects[f"ml/datasets/{digest}/MANIFEST.json"])
    home = {True: "ml/", False: f"ml/datasets/{digest}/"}
    return {
        f"{entry['role']} {entry['key']}": lab.memory.objects[home[entry["key"].startswith("datasets/")] + entry["key"]]
        for entry in manifest["objects"]
    }


def forget(lab: Lab) -> None:
    for key in [key for key in lab.memory.objects if key.startswith("ml/")]:
        del lab.memory.objects[key]


CHANGES: dict[str, tuple[Callable[[Lab], object], list[str]]] = {
    "added": (lambda lab: lab.add("new"), ["train/new.jpg"]),
    "added, bad": (lambda lab: lab.add("new", b"<html>"), ["train/new.jpg"]),
    "removed": (lambda lab: remove(lab, "image 3"), []),
    "image changed": (lambda lab: lab.add("image 3", jpeg(seed="other")), ["train/image 3.jpg"]),
    "labels changed": (lambda lab: lab.add("image 3", xml=voc([labelled(box=(1, 2, 30, 40))])), ["train/image 3.jpg"]),
    "bad one mended": (lambda lab: lab.add("bad"), ["train/bad.jpg"]),
    "eval added": (lambda lab: lab.add("new", split="eval"), ["eval/new.jpg"]),
    "twice as many, twice the shards": (lambda lab: [lab.add(f"more {n}") for n in range(70)], []),
}


def remove(lab: Lab, name: str) -> None:
    del lab.memory.objects[f"train/{name}.jpg"], lab.memory.objects[f"train/{name}.xml"]


@pytest.mark.parametrize(("change", "read"), CHANGES.values(), ids=CHANGES)
def test_a_change_costs_what_changed_and_gives_what_a_fresh_start_gives(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, change: Callable[[Lab], object], read: list[str]
) -> None:
    lab.run()
    change(lab)
    noted = reads(lab, monkeypatch)
    again = lab.run()
    assert not again.reused
    assert [key for key in noted if "more" not in key] == read
    incremental = data_set(lab, again.digest)
    forget(lab)
    fresh = lab.run()
    assert fresh.digest == again.digest
    assert data_set(lab, fresh.digest) == incremental


def test_shards_that_nothing_falls_into_are_not_written_again(lab: Lab) -> None:
    first = lab.run()
    before = {key for key in data_set(lab, first.digest) if "Records" in key}
    assert len(before) > 4
    lab.add("new")
    lab.memory.puts.clear()
    second = lab.run()
    after = {key for key in data_set(lab, second.digest) if "Records" in key}
    assert len(after - before) == 1
    assert len([key for key in lab.memory.puts if key.endswith(".tfrecord")]) == 1


def test_what_was_checked_before_a_refusal_is_not_checked_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.max_bad_files = "0"
    with pytest.raises(UserError, match="TooManyBadFiles"):
        lab.run()
    lab.add("bad")
    noted = reads(lab, monkeypatch)
    lab.run()
    assert noted == ["train/bad.jpg"]


def test_an_object_that_was_changing_is_read_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    get, key = lab.memory.get, "train/image 3.jpg"

    def changing(asked: str, *, max_bytes: int, etag: str = "") -> bytes:
        if asked == key:
            raise ObjectChanged(where=key, found="another", listed="an ETag")
        return get(asked, max_bytes=max_bytes, etag=etag)

    with monkeypatch.context() as patch:
        patch.setattr(lab.memory, "get", changing)
        with pytest.raises(UserError, match="DataChanged"):
            lab.run()
    noted = reads(lab, monkeypatch)
    assert lab.run().numbers["errors"] == 1  # the bad one
    assert noted == [key]


def test_another_network_looks_at_no_image_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lab.run()
    noted = reads(lab, monkeypatch)
    lab.network = "faster_rcnn_resnet50"
    second = lab.run()
    assert second.digest != first.digest
    assert noted == []


def test_a_shard_of_which_nothing_changed_is_not_given_to_a_worker(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run()
    lab.add("new")
    opened: list[str] = []
    original = ShardWorker.open

    def noted(worker: ShardWorker, job: ShardJob) -> OpenShard:
        opened.append(job.name)
        return original(worker, job)

    monkeypatch.setattr(ShardWorker, "open", noted)
    lab.run()
    assert len(opened) == 1


def spoil_summary(lab: Lab) -> None:
    """Other bytes, and a pointer that promises them."""
    [pointer] = [key for key in lab.memory.objects if "/latest/" in key]
    document = json.loads(lab.memory.objects[pointer])
    data = gzip.compress(b'{"versions": 1}\n{"path": 1}\n')
    for _, rows in [pair for pairs in document["shards"].values() for pair in pairs]:
        rows["size"], rows["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        lab.memory.objects[f"ml/{rows['key']}"] = data
    lab.memory.objects[pointer] = json.dumps(document).encode()


def spoil_pointer(lab: Lab) -> None:
    [key] = [key for key in lab.memory.objects if "/latest/" in key]
    lab.memory.objects[key] = b'{"formatVersion": 1, "shards": {"train": [[null, {"key": "../../x"}]]}}'


def spoil_rows(lab: Lab) -> None:
    for key in [key for key in lab.memory.objects if key.endswith(".rows.gz")]:
        lab.memory.objects[key] = gzip.compress(b'{"path": 1}\n')


def cut_rows(lab: Lab) -> None:
    for key in [key for key in lab.memory.objects if key.endswith(".rows.gz")]:
        lab.memory.objects[key] = bytes(len(lab.memory.objects[key]))


def lose(suffix: str) -> Callable[[Lab], None]:
    def drop(lab: Lab) -> None:
        for key in [key for key in lab.memory.objects if key.endswith(suffix)]:
            del lab.memory.objects[key]

    return drop


def spoil_shards(lab: Lab) -> None:
    for key in lab.blobs():
        lab.memory.objects[key] = bytes(len(lab.memory.objects[key]))


SPOILED: dict[str, Callable[[Lab], None]] = {
    "summaries": spoil_summary,
    "pointer": spoil_pointer,
    "rows of another size": spoil_rows,
    "rows of other bytes": cut_rows,
    "rows gone": lose(".rows.gz"),
    "shards gone": lose(".tfrecord"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_is_remembered_is_a_hint_only(lab: Lab, spoil: Callable[[Lab], None]) -> None:
    lab.run()
    spoil(lab)
    lab.add("new")
    again = lab.run()
    kept = data_set(lab, again.digest)
    forget(lab)
    assert data_set(lab, lab.run().digest) == kept


def test_a_shard_with_other_bytes_is_not_copied_from(lab: Lab) -> None:
    lab.run()
    spoil_shards(lab)
    lab.add("new")
    again = lab.run()
    [new] = [data for key, data in data_set(lab, again.digest).items() if b"new.jpg" in data and "Records" in key]
    assert b"\0" * 1000 not in new


def test_nothing_is_left_on_scratch(lab: Lab, tmp_path: Path) -> None:
    lab.run()
    lab.add("new")
    lab.run()
    assert list(lab.scratch.iterdir()) == []


def test_a_reused_data_set_shows_the_findings_that_this_version_knows(lab: Lab) -> None:
    first = lab.run()
    key = f"ml/datasets/{first.digest}/MANIFEST.json"
    manifest = json.loads(lab.memory.objects[key])
    stored = manifest["dataset"]["topFindings"]
    assert [(one["code"], one["file"]) for one in stored[:2]] == [
        ("ImageTruncated", "bad.jpg"),
        ("BoxClipped", "image 0.xml"),
    ]
    assert not any("clipped the box" in json.dumps(one) for one in stored)
    manifest["dataset"]["topFindings"] = [{**stored[0], "code": "CodeOfAnotherVersion"}, *stored[1:]]
    lab.memory.objects[key] = json.dumps(manifest).encode()
    again = lab.run()
    assert again.reused
    assert again.numbers["topFindings"] == first.numbers["topFindings"][1:]
