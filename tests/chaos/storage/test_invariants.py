"""Tests of the invariants: each finds what it is for in a bucket that is wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trchaosstorage import invariants
from trchaosstorage.bucket import Bucket
from trservers import catalogue
from trservers.server import Server
from whole_life import Life, Pod

pytestmark = pytest.mark.contract
RUN = "lab/runs/team/tire"
ATTEMPT = f"{RUN}/train/0001-aaaaaaaa"
EVENTS = f"{ATTEMPT}/events/train/events.out.tfevents.1.2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with catalogue.running(catalogue.MOTO, tmp_path_factory.mktemp("server")) as server:
        yield server


class World:
    """A bucket as a run leaves it, and the folder of its pods."""

    def __init__(self, server: Server, name: str, root: Path) -> None:
        self.client, self.bucket = server.client, Bucket(server.client, name)
        self.client.create_bucket(Bucket=name)
        self.life = Life(root, self.client, name)
        written = root / "train-0" / "model" / "events.out.tfevents.1.2"
        written.parent.mkdir(parents=True)
        written.write_bytes(b"0123456789")
        for step in (10, 20):
            self.put(f"{ATTEMPT}/checkpoints/{step:08d}/data", b"weights")
            entry = {"key": "data", "size": 7, "sha256": hashlib.sha256(b"weights").hexdigest()}
            self.put(f"{ATTEMPT}/checkpoints/{step:08d}/MANIFEST.json", {"objects": [entry]})
        self.put(f"{EVENTS}/{0:020d}", b"01234")
        self.put(f"{EVENTS}/{5:020d}", b"56789")
        self.put(f"{RUN}/epochs/0001.json", {"podUID": "aaaaaaaa-1"})
        for result in invariants.RESULTS:
            named = f"{ATTEMPT}/checkpoints/00000020/MANIFEST.json".removeprefix("lab/")
            self.put(f"{RUN}/{result}", {"manifestKey": named})

    def put(self, key: str, data: Any) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.client.put_object(Bucket=self.bucket.name, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket.name, Key=key)

    def pod(self, **verdict: Any) -> Pod:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            (self.life.root / "train-0.termination").write_text(json.dumps({"outcome": "succeeded", **verdict}))
            return Pod("train-0", "aaaaaaaa-1", self.life.root, 1, ended, None)


@pytest.fixture
def world(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    return World(server, hashlib.sha256(request.node.name.encode()).hexdigest()[:16], tmp_path)


def test_nothing_is_wrong_with_a_bucket_that_is_whole(world: World) -> None:
    assert invariants.of_bucket(world.bucket, world.life) == []
    assert world.bucket.newest_checkpoint() == 20


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda world: world.delete(f"{RUN}/trained.json"), "trained.json is missing"),
        (lambda world: world.delete(f"{ATTEMPT}/checkpoints/00000020/MANIFEST.json"), "which is missing"),
        (lambda world: world.delete(f"{ATTEMPT}/checkpoints/00000010/data"), "data is missing"),
        (lambda world: world.put(f"{ATTEMPT}/checkpoints/00000010/data", b"weighty"), "not as promised"),
        (lambda world: world.put(f"{ATTEMPT}/checkpoints/00000010/data", b"weight"), "not as promised"),
        (lambda world: world.put(f"{RUN}/export/0001-bbbbbbbb/file", b""), "epoch 1 was claimed by"),
        (lambda world: world.put(f"{RUN}/epochs/0002.json", {"podUID": "aaaaaaaa-1"}), "claimed the epochs [1, 2]"),
        (lambda world: world.put(f"{RUN}/export/0002-bbbbbbbb/file", b""), "2 epochs are used, 1 are claimed"),
        (lambda world: world.put(f"{EVENTS}/{5:020d}", b"5678X"), "is not what the trainer wrote"),
        (lambda world: world.delete(f"{EVENTS}/{0:020d}"), "bytes before it are missing"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_found(world: World, damage: Callable[[World], None], found: str) -> None:
    damage(world)
    assert any(found in violation for violation in invariants.of_bucket(world.bucket, world.life))


def test_a_training_that_starts_before_the_newest_checkpoint_is_found(world: World) -> None:
    spec = world.life.root / "train-0" / "spec.json"
    spec.write_text(json.dumps({"stage": "train", "resumedFromStep": 10}))
    assert invariants.of_pod(world.pod(), world.bucket, newest=10) == []
    assert invariants.of_pod(world.pod(), world.bucket, newest=20) == [
        "train-0 resumed from step 10, but 20 was in the bucket"
    ]


def test_an_evaluation_that_is_lost_is_found(world: World) -> None:
    spec = {"stage": "train", "resumedFromStep": 0}
    (world.life.root / "train-0" / "spec.json").write_text(json.dumps(spec))
    world.put(f"{ATTEMPT}/evaluations.json", {"evaluations": [{"step": 10}]})
    assert invariants.of_pod(world.pod(), world.bucket, newest=0, evaluated=(10, 20, 30)) == []
    world.put(f"{ATTEMPT}/evaluations.json", {"evaluations": [{"step": 20}]})
    assert invariants.of_pod(world.pod(), world.bucket, newest=0, evaluated=(10, 20, 30)) == [
        "train-0: checkpoint 20 is in the bucket, evaluations [10] are not"
    ]


def test_a_checkpoint_that_is_promised_in_vain_is_found(world: World) -> None:
    assert invariants.of_pod(world.pod(numbers={"checkpointStep": 20}), world.bucket, newest=0) == []
    assert invariants.of_pod(world.pod(numbers={"checkpointStep": 30}), world.bucket, newest=0) == [
        "train-0 promised checkpoint 30, but the newest whole one is 20"
    ]


def test_a_credential_that_was_emitted_is_found(world: World) -> None:
    world.life.printed["train-0: log"] = "key: hush"
    assert invariants.secrets(world.life, "hush") == ["a credential is in train-0: log"]
