"""Split one folder of images into train and eval on a real node, and prepare it again after images were added.

Then one byte of a shard changes in the bucket: the next run, which finds the data set prepared, makes that shard again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from trdemo.bucket import split_uri
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run
from trdemo.tires import draw_set

pytestmark = pytest.mark.node

FOLDER, IMAGES, ADDED = "divided/", 320, 5
SECONDS = 120


def put(installation: Installation, prefix: str, count: int) -> None:
    """Upload drawn photos with their XML files."""
    photos = list(draw_set(count, seed=11, prefix=prefix))
    installation.bucket.put_all(
        (f"{FOLDER}{name}", data)
        for photo in photos
        for name, data in ((photo.name, photo.jpeg), (photo.name.replace(".jpg", ".xml"), photo.xml))
    )


def divided(name: str) -> Object:
    """A run on that folder; after prep it waits for a GPU, because no node has one."""
    run = tire_run(name, train={"gpus": 1}, prep=SMALL_PREP)
    dataset = {"train": {"uri": FOLDER}, "evalFraction": "0.2", "splitSeed": 3, "classes": ["tire"]}
    return {**run, "spec": {**run["spec"], "dataset": dataset}}


@pytest.fixture(scope="module")
def statuses(installation: Installation, namespace: str) -> Iterator[list[dict[str, Any]]]:
    """Status of a run before images were added, and of one after that."""
    put(installation, "photo", IMAGES)
    found = []
    for name in ("before", "after"):
        installation.apply(divided(name), namespace=namespace)
        found.append(
            installation.until(
                name,
                lambda status: condition(status, "Prepared") == "True" or condition(status, "Finished") == "True",
                namespace=namespace,
                seconds=SECONDS,
                what="a prepared data set",
            )
        )
        put(installation, "more", ADDED)
    yield found
    installation.target.kubectl("delete", "trainingruns", "before", "after", "-n", namespace, "--wait=false")


def test_the_folder_is_divided(statuses: list[dict[str, Any]]) -> None:
    first, second = (status["dataset"] for status in statuses)
    assert first["trainImages"] + first["evalImages"] == IMAGES
    assert 40 <= first["evalImages"] <= 90
    assert second["trainImages"] + second["evalImages"] == IMAGES + ADDED
    assert 0 <= second["evalImages"] - first["evalImages"] <= ADDED


def test_the_report_says_how_well(installation: Installation, statuses: list[dict[str, Any]]) -> None:
    _, key = split_uri(statuses[0]["dataset"]["reportJSONURI"])
    report = json.loads(installation.bucket.read(key))
    assert report["split"]["groupBy"] == "sequence"
    assert 0.1 < report["split"]["largestDeviation"]["share"] < 0.3
    page = installation.bucket.read(split_uri(statuses[0]["dataset"]["reportURI"])[1]).decode()
    assert page.startswith("<!doctype html>")
    assert "data:image/jpeg;base64," in page


def test_the_event_counts_what_was_added(
    installation: Installation, namespace: str, statuses: list[dict[str, Any]]
) -> None:
    assert statuses[1]["dataset"]["reused"] is False
    events = installation.target.kubectl("get", "events", "-n", namespace, "-o", "json")
    messages = [item["message"] for item in json.loads(events)["items"] if item["reason"] == "Prepared"]
    assert any(message.startswith(f"{IMAGES + ADDED} images, ") for message in messages)


@pytest.fixture(scope="module")
def shard(installation: Installation, statuses: list[dict[str, Any]]) -> tuple[str, bytes]:
    """A shard of the newer data set, whose object in the bucket now has one wrong byte: its key and its right bytes."""
    folder = split_uri(statuses[1]["dataset"]["reportJSONURI"])[1].rpartition("/")[0]
    objects = json.loads(installation.bucket.read(f"{folder}/MANIFEST.json"))["objects"]
    key = next(entry["key"] for entry in objects if entry["role"] == "trainRecords")
    right = installation.bucket.read(key)
    middle = len(right) // 2
    installation.bucket.put_all([(key, right[:middle] + bytes([right[middle] ^ 1]) + right[middle + 1 :])])
    return key, right


@pytest.fixture(scope="module")
def healed(installation: Installation, namespace: str, shard: tuple[str, bytes], stand_in: str) -> dict[str, Any]:
    """Status of a new run with the same images, once it has ended; a stand-in replaces TensorFlow."""
    small = {"pod": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}}}
    run = divided("healed")
    run["spec"]["train"] = {**run["spec"]["train"], **small, "steps": 5, "gpus": 0, "image": stand_in}
    run["spec"] |= {"export": {**run["spec"].get("export", {}), **small}, "tensorboard": {"enabled": False}}
    name = installation.apply(run, namespace=namespace)
    return installation.finished(name, namespace=namespace, seconds=SECONDS)


def test_a_damaged_shard_is_found_made_again_and_trained_on(
    installation: Installation, namespace: str, healed: dict[str, Any], shard: tuple[str, bytes]
) -> None:
    assert (healed["phase"], healed["dataset"]["reused"]) == ("Succeeded", False)
    ended = {entry["stage"]: (entry["number"], entry["lastReason"]) for entry in healed["attempts"]}
    assert ended == {"prep": (2, "Prepared"), "train": (2, "Trained"), "export": (1, "Exported")}
    key, right = shard
    assert installation.bucket.read(key) == right
    assert installation.bucket.keys("datasets/damaged/") == {}
    events = json.loads(installation.target.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    [lost] = [event["message"] for event in events if event["reason"] == "DatasetLost"]
    assert key in lost
    assert lost.endswith("The data set is prepared again.")
