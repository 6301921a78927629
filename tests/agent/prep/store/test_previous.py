"""Preparing again: images that were checked before are not read again, and the data set is the same byte by byte."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prep_in_memory import Preparation
from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import IntegrityError, ObjectChanged, UserError
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep.sharding.job import ShardJob
from trainingrun_agent.prep.sharding.worker import OpenShard, ShardWorker
from trainingrun_agent.prep.split import shards
from trainingrun_agent.storage import damage
from voc_data import jpeg, labelled, voc

IMAGES = 60


@pytest.fixture
def prep(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> Preparation:
    """Some images in eight shards; a few of them have findings."""
    size = sum(len(data) for key, data in prep.memory.objects.items() if key.endswith(".jpg"))
    for number in range(IMAGES):
        prep.add(f"image {number}", xml=voc([labelled(), labelled(box=(-5, 1, 50, 60))]) if number % 7 == 0 else None)
        size += len(prep.memory.objects[f"train/image {number}.jpg"])
    prep.max_bad_files = "10%"
    prep.add("bad", jpeg(seed="bad")[:-2])
    monkeypatch.setattr(shards, "TARGET_BYTES", size // 7)
    return prep


def reads(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the keys of the images that are read from now on."""
    found: list[str] = []
    get = prep.memory.get

    def noted(key: str, *, max_bytes: int, etag: str = "") -> bytes:
        if key.endswith(".jpg"):
            found.append(key)
        return get(key, max_bytes=max_bytes, etag=etag)

    monkeypatch.setattr(prep.memory, "get", noted)
    # The report reads some images again.
    monkeypatch.setattr("trainingrun_agent.prep.prepare.gallery", lambda *_, **__: ())
    return found


def data_set(prep: Preparation, digest: str) -> dict[str, bytes]:
    """The objects that its manifest names, by role and key."""
    manifest = json.loads(prep.memory.objects[f"ml/datasets/{digest}/MANIFEST.json"])
    base = {True: "ml/", False: f"ml/datasets/{digest}/"}
    return {
        f"{entry['role']} {entry['key']}": prep.memory.objects[
            base[entry["key"].startswith("datasets/")] + entry["key"]
        ]
        for entry in manifest["objects"]
    }


def forget(prep: Preparation) -> None:
    for key in [key for key in prep.memory.objects if key.startswith("ml/")]:
        del prep.memory.objects[key]


CHANGES: dict[str, tuple[Callable[[Preparation], object], list[str]]] = {
    "added": (lambda prep: prep.add("new"), ["train/new.jpg"]),
    "added, bad": (lambda prep: prep.add("new", b"<html>"), ["train/new.jpg"]),
    "removed": (lambda prep: remove(prep, "image 3"), []),
    "image changed": (lambda prep: prep.add("image 3", jpeg(seed="other")), ["train/image 3.jpg"]),
    "labels changed": (
        lambda prep: prep.add("image 3", xml=voc([labelled(box=(1, 2, 30, 40))])),
        ["train/image 3.jpg"],
    ),
    "bad one repaired": (lambda prep: prep.add("bad"), ["train/bad.jpg"]),
    "eval added": (lambda prep: prep.add("new", split="eval"), ["eval/new.jpg"]),
    "twice as many, twice the shards": (lambda prep: [prep.add(f"more {n}") for n in range(70)], []),
}


def remove(prep: Preparation, name: str) -> None:
    del prep.memory.objects[f"train/{name}.jpg"], prep.memory.objects[f"train/{name}.xml"]


@pytest.mark.parametrize(("change", "read"), CHANGES.values(), ids=CHANGES)
def test_only_changed_images_are_read_and_the_result_equals_a_fresh_one(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch, change: Callable[[Preparation], object], read: list[str]
) -> None:
    prep.run()
    change(prep)
    noted = reads(prep, monkeypatch)
    again = prep.run()
    assert not again.reused
    assert [key for key in noted if "more" not in key] == read
    incremental = data_set(prep, again.digest)
    forget(prep)
    fresh = prep.run()
    assert fresh.digest == again.digest
    assert data_set(prep, fresh.digest) == incremental


def test_unchanged_shards_are_not_written_again(prep: Preparation) -> None:
    first = prep.run()
    before = {key for key in data_set(prep, first.digest) if "Records" in key}
    assert len(before) > 4
    prep.add("new")
    prep.memory.puts.clear()
    second = prep.run()
    after = {key for key in data_set(prep, second.digest) if "Records" in key}
    assert len(after - before) == 1
    assert len([key for key in prep.memory.puts if key.endswith(".tfrecord")]) == 1


def test_images_checked_before_a_refusal_are_not_read_again(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    prep.max_bad_files = "0"
    with pytest.raises(UserError, match="TooManyBadFiles"):
        prep.run()
    prep.add("bad")
    noted = reads(prep, monkeypatch)
    prep.run()
    assert noted == ["train/bad.jpg"]


def test_an_object_that_was_changing_is_read_again(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    get, key = prep.memory.get, "train/image 3.jpg"

    def changing(asked: str, *, max_bytes: int, etag: str = "") -> bytes:
        if asked == key:
            raise ObjectChanged(where=key, found="another", listed="an ETag")
        return get(asked, max_bytes=max_bytes, etag=etag)

    with monkeypatch.context() as patch:
        patch.setattr(prep.memory, "get", changing)
        with pytest.raises(UserError, match="DataChanged"):
            prep.run()
    noted = reads(prep, monkeypatch)
    assert prep.run().numbers["errors"] == 1  # the bad one
    assert noted == [key]


def test_another_network_reads_no_image_again(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prep.run()
    noted = reads(prep, monkeypatch)
    prep.network = "faster_rcnn_resnet50"
    second = prep.run()
    assert second.digest != first.digest
    assert noted == []


def test_an_unchanged_shard_is_not_given_to_a_worker(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    prep.run()
    prep.add("new")
    opened: list[str] = []
    original = ShardWorker.open

    def noted(worker: ShardWorker, job: ShardJob) -> OpenShard:
        opened.append(job.name)
        return original(worker, job)

    monkeypatch.setattr(ShardWorker, "open", noted)
    prep.run()
    assert len(opened) == 1


def spoil_summary(prep: Preparation) -> None:
    """Replace the rows, and put their sizes and digests into the pointer."""
    [pointer] = [key for key in prep.memory.objects if "/latest/" in key]
    document = json.loads(prep.memory.objects[pointer])
    data = gzip.compress(b'{"versions": 1}\n{"path": 1}\n')
    for _, rows in [pair for pairs in document["shards"].values() for pair in pairs]:
        rows["size"], rows["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        prep.memory.objects[f"ml/{rows['key']}"] = data
    prep.memory.objects[pointer] = json.dumps(document).encode()


def spoil_pointer(prep: Preparation) -> None:
    [key] = [key for key in prep.memory.objects if "/latest/" in key]
    prep.memory.objects[key] = b'{"formatVersion": 1, "shards": {"train": [[null, {"key": "../../x"}]]}}'


def spoil_rows(prep: Preparation) -> None:
    for key in [key for key in prep.memory.objects if key.endswith(".rows.gz")]:
        prep.memory.objects[key] = gzip.compress(b'{"path": 1}\n')


def cut_rows(prep: Preparation) -> None:
    for key in [key for key in prep.memory.objects if key.endswith(".rows.gz")]:
        prep.memory.objects[key] = bytes(len(prep.memory.objects[key]))


def lose(suffix: str) -> Callable[[Preparation], None]:
    def drop(prep: Preparation) -> None:
        for key in [key for key in prep.memory.objects if key.endswith(suffix)]:
            del prep.memory.objects[key]

    return drop


def spoil_shards(prep: Preparation) -> None:
    for key in prep.blobs():
        prep.memory.objects[key] = bytes(len(prep.memory.objects[key]))


SPOILED: dict[str, Callable[[Preparation], None]] = {
    "summaries": spoil_summary,
    "pointer": spoil_pointer,
    "rows of another size": spoil_rows,
    "rows of other bytes": cut_rows,
    "rows gone": lose(".rows.gz"),
    "shards gone": lose(".tfrecord"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_damaged_results_of_the_previous_preparation_are_not_used(
    prep: Preparation, spoil: Callable[[Preparation], None]
) -> None:
    prep.run()
    spoil(prep)
    prep.add("new")
    again = prep.run()
    kept = data_set(prep, again.digest)
    forget(prep)
    assert data_set(prep, prep.run().digest) == kept


def test_a_damaged_shard_is_not_copied_from(prep: Preparation) -> None:
    prep.run()
    spoil_shards(prep)
    prep.add("new")
    again = prep.run()
    [new] = [data for key, data in data_set(prep, again.digest).items() if b"new.jpg" in data and "Records" in key]
    assert b"\0" * 1000 not in new


def test_nothing_is_left_on_scratch(prep: Preparation, tmp_path: Path) -> None:
    prep.run()
    prep.add("new")
    prep.run()
    assert list(prep.scratch.iterdir()) == []


def test_a_reused_data_set_shows_the_findings_that_this_version_knows(prep: Preparation) -> None:
    first = prep.run()
    key = f"ml/datasets/{first.digest}/MANIFEST.json"
    manifest = json.loads(prep.memory.objects[key])
    stored = manifest["dataset"]["topFindings"]
    assert [(one["code"], one["file"]) for one in stored[:2]] == [
        ("ImageTruncated", "bad.jpg"),
        ("BoxClipped", "image 0.xml"),
    ]
    assert not any("clipped the box" in json.dumps(one) for one in stored)
    manifest["dataset"]["topFindings"] = [{**stored[0], "code": "CodeOfAnotherVersion"}, *stored[1:]]
    prep.memory.objects[key] = json.dumps(manifest).encode()
    again = prep.run()
    assert again.reused
    assert again.numbers["topFindings"] == first.numbers["topFindings"][1:]


def test_a_shard_marked_as_damaged_is_made_again_also_for_another_data_set(prep: Preparation) -> None:
    prep.run()
    right, keys = prep.blobs(), BucketKeys("ml")
    spoil_shards(prep)
    for key in right:
        damage.mark(prep.memory, keys, key, found=IntegrityError(), clock=Clock())
    prep.add("new")
    named = {key.partition(" ")[2]: data for key, data in data_set(prep, prep.run().digest).items() if "Records" in key}
    assert all(hashlib.sha256(data).hexdigest() in key for key, data in named.items())
    [changed] = damage.marked(prep.memory, keys)  # the shard that now has an image more: no data set was asked for it
    assert changed.removeprefix("ml/") not in named


def test_a_wrong_digest_in_the_list_deletes_nothing(prep: Preparation) -> None:
    first = prep.run()
    before = data_set(prep, first.digest)
    [pointer] = [key for key in prep.memory.objects if "/latest/" in key]
    document = json.loads(prep.memory.objects[pointer])
    document["shards"]["train"][0][1]["sha256"] = "0" * 64
    prep.memory.objects[pointer] = json.dumps(document).encode()
    prep.add("new")
    prep.run()
    assert data_set(prep, first.digest) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda manifest: manifest.update(kind="export"),
        lambda manifest: manifest.update(objects=[]),
        lambda manifest: manifest["dataset"].pop("maxBoxesPerImage"),
        lambda manifest: manifest.pop("dataset"),
    ],
    ids=["kind", "no objects", "no count", "no numbers"],
)
def test_a_manifest_that_training_could_not_use_is_written_again(
    prep: Preparation, spoil: Callable[[dict[str, Any]], object]
) -> None:
    first = prep.run()
    key = f"ml/datasets/{first.digest}/MANIFEST.json"
    right, manifest = json.loads(prep.memory.objects[key]), json.loads(prep.memory.objects[key])
    spoil(manifest)
    prep.memory.objects[key] = json.dumps(manifest).encode()
    assert not prep.run().reused
    assert json.loads(prep.memory.objects[key])["objects"] == right["objects"]
