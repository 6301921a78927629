"""Epochs, manifests and stage results: fencing, contracts, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import IntegrityError, NotFound
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.storage import epochs, manifest, results
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.contract
RUN = "ml/runs/team-a/tire-0123abcd"
KEYS = RunKeys(RUN)


def test_epochs_count_from_one(s3_store: S3Store, fake_clock: Clock) -> None:
    claims = [epochs.claim(s3_store, KEYS, f"pod-{number}", clock=fake_clock) for number in range(3)]
    assert claims == [1, 2, 3]
    assert [info.key for info in s3_store.list(f"{RUN}/epochs/")] == [
        f"{RUN}/epochs/{number:04d}.json" for number in (1, 2, 3)
    ]


def test_a_claim_skips_gaps_and_foreign_objects(s3_store: S3Store) -> None:
    for name in ("0007.json", "notes.txt", "0009.json/x"):
        s3_store.put(f"{RUN}/epochs/{name}", b"{}")
    assert epochs.claim(s3_store, KEYS, "pod") == 8


class Racing:
    """A store with an outdated listing, whose conditional puts may succeed and return False as if they had lost."""

    def __init__(self, store: S3Store, *, lose_answers: int = 0) -> None:
        self._store = store
        self._lose = lose_answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, prefix: str) -> Any:
        return iter(())

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        written = self._store.put(key, data, if_absent=if_absent)
        if self._lose:
            self._lose -= 1
            return False
        return written


def test_the_second_pod_takes_the_next_epoch(s3_store: S3Store) -> None:
    store: Any = Racing(s3_store)
    assert epochs.claim(store, KEYS, "pod-a") == 1
    assert epochs.claim(store, KEYS, "pod-b") == 2


def test_an_own_claim_whose_answer_was_lost_counts(s3_store: S3Store) -> None:
    store: Any = Racing(s3_store, lose_answers=1)
    assert epochs.claim(store, KEYS, "pod-a") == 1


def test_pods_that_race_never_share_an_epoch(s3_store: S3Store) -> None:
    won: list[int] = []
    threads = [
        threading.Thread(target=lambda pod=f"pod-{number}": won.append(epochs.claim(s3_store, KEYS, pod)))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [1, 2, 3, 4, 5, 6]


def _manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "kind": "dataset",
        "producer": Producer("pod", 1),
        "created": "2026-01-31T12:00:00Z",
        "objects": (
            ManifestObject("datasets/blobs/ab.tfrecord", 5, "a" * 64, "train", images=3),
            ManifestObject("label_map.pbtxt", 0, "b" * 64, "labelMap"),
        ),
    }
    return Manifest(**{**fields, **changes})


@pytest.mark.parametrize(
    "made",
    [
        _manifest(),
        _manifest(kind="checkpoint", step=7, dataset={"digest": "x"}, metrics={"mAP": 0.5}),
        _manifest(kind="export", step=0, objects=()),
    ],
    ids=["dataset", "checkpoint", "empty export"],
)
def test_a_manifest_is_read_as_it_was_written(
    s3_store: S3Store, made: Manifest, contract: Callable[[str, Any], None]
) -> None:
    contract("manifest", made.to_json())
    assert manifest.write(s3_store, "folder", made)
    assert manifest.read(s3_store, "folder/MANIFEST.json") == made
    assert not manifest.write(s3_store, "folder", made, if_absent=True)


def _broken(**changes: Any) -> dict[str, Any]:
    document = _manifest().to_json()
    document["objects"] = [{**document["objects"][0], **changes}]
    return document


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({}, "KeyError"),
        ({**_manifest().to_json(), "formatVersion": 2}, "formatVersion 2"),
        ({**_manifest().to_json(), "kind": "poem"}, "poem"),
        (_broken(key="../secrets"), "not a plain relative key"),
        (_broken(key="datasets/../../secrets"), "not a plain relative key"),
        (_broken(key="/etc/passwd"), "not a plain relative key"),
        (_broken(key="a//b"), "not a plain relative key"),
        (_broken(key=7), "AttributeError"),
        (_broken(size=-1), "not a byte count"),
        (_broken(size="5"), "not a byte count"),
        (_broken(sha256="A" * 64), "not a SHA-256"),
    ],
)
def test_what_is_no_manifest(broken: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Manifest.parse(broken)


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"formatVersion": 1}'], ids=["cut", "list", "incomplete"])
def test_an_unusable_manifest_names_its_key(s3_store: S3Store, data: bytes) -> None:
    s3_store.put("folder/MANIFEST.json", data)
    with pytest.raises(IntegrityError, match=r"s3://bucket-\d+/folder/MANIFEST.json is not"):
        manifest.read(s3_store, "folder/MANIFEST.json")


def test_an_absent_manifest(s3_store: S3Store) -> None:
    with pytest.raises(NotFound, match="ObjectNotFound: no manifest at"):
        manifest.read(s3_store, "folder/MANIFEST.json")


def test_a_result_is_read_as_it_was_written(
    s3_store: S3Store, fake_clock: Clock, contract: Callable[[str, Any], None]
) -> None:
    assert results.read_result(s3_store, KEYS, "train") is None
    key = results.write_result(
        s3_store,
        KEYS,
        stage="train",
        producer=Producer("pod", 2),
        manifest_key="runs/x/MANIFEST.json",
        numbers={"step": 7},
        clock=fake_clock,
    )
    assert key == f"{RUN}/trained.json"
    result = results.read_result(s3_store, KEYS, "train")
    contract("stage-result", result)
    assert result is not None
    assert (result["epoch"], result["numbers"]) == (2, {"step": 7})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{}", "missing"),
        (b"nonsense", "is not JSON"),
        (b"[]", "not a JSON object"),
        (b"[" * 200_000, "is not JSON: nested too deeply"),
        (b'{"numbers": ' + b"[" * 900 + b"]" * 900 + b"}", "is not JSON: nested more than 64 levels deep"),
        (b'{"epoch": ' + b"9" * 5000 + b"}", "is not JSON: Exceeds the limit"),
    ],
    ids=["empty", "text", "list", "lists without end", "many levels", "number of many digits"],
)
def test_an_unusable_result_names_its_key(s3_store: S3Store, data: bytes, says: str) -> None:
    s3_store.put(f"{RUN}/prepared.json", data)
    with pytest.raises(IntegrityError, match=rf"{RUN}/prepared\.json .*{says}"):
        results.read_result(s3_store, KEYS, "prep")
