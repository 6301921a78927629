"""Which evaluation is of which checkpoint, over all attempts, and what is made of documents that are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from memory_store import MemoryStore
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.transfer.evaluations import (
    Evaluation,
    best_of,
    by_checkpoint,
    own_evaluations,
    parse,
    stored_evaluations,
)
from trainingrun_agent.transfer.resume import StoredCheckpoint

RUN = BucketKeys("lab").run(namespace="team", name="tire", uid="0a1b2c3d-0000")


def document(*scores: tuple[Any, Any, Any], version: int = 1) -> dict[str, Any]:
    entries = [{"step": step, "mAP": mean_ap, "ap50": ap50} for step, mean_ap, ap50 in scores]
    return {"contractVersion": version, "evaluations": entries}


def checkpoint(step: int, epoch: int) -> StoredCheckpoint:
    return StoredCheckpoint(step, epoch, f"{epoch}/{step}")


def test_evaluations_of_all_earlier_attempts_are_read_oldest_first() -> None:
    store = MemoryStore()
    for epoch, scores in ((1, [(10, 0.5, 0.75)]), (3, [(20, 0.25, 0.5), (30, 0.5, 0.875)]), (4, [(40, 1, 1)])):
        key = RUN.attempt("train", epoch=epoch, pod_uid="abcdef01").evaluations
        store.put(key, json.dumps(document(*scores)).encode())
    store.put(RUN.attempt("train", epoch=2, pod_uid="abcdef01").last_step, b"{}")
    found = stored_evaluations(store, RUN, before_epoch=4)
    assert found == [Evaluation(10, 0.5, 0.75, 1), Evaluation(20, 0.25, 0.5, 3), Evaluation(30, 0.5, 0.875, 3)]
    assert found[0].to_json() == {"step": 10, "mAP": 0.5, "ap50": 0.75}


BAD_DATA: dict[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "no list": b'{"contractVersion": 1, "evaluations": {"step": 1}}',
    "another version": json.dumps(document((10, 0.5, 0.5), version=99)).encode(),
    "too long": b" " * (5 << 20),
}


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=BAD_DATA)
def test_a_document_that_cannot_be_read_counts_as_none(data: bytes, tmp_path: Any) -> None:
    store = MemoryStore()
    store.put(RUN.attempt("train", epoch=1, pod_uid="abcdef01").evaluations, data)
    (tmp_path / "evaluations.json").write_bytes(data)
    assert stored_evaluations(store, RUN, before_epoch=2) == []
    with Folder.open(tmp_path) as folder:
        assert own_evaluations(folder, epoch=1) == []


def test_own_evaluations_are_those_of_the_shared_folder(tmp_path: Any) -> None:
    with Folder.open(tmp_path) as folder:
        assert own_evaluations(folder, epoch=2) == []
        (tmp_path / "evaluations.json").write_text(json.dumps(document((10, 0.5, 0.75))))
        assert own_evaluations(folder, epoch=2) == [Evaluation(10, 0.5, 0.75, 2)]
        (tmp_path / "evaluations.json").unlink()
        (tmp_path / "evaluations.json").symlink_to("/etc/hostname")
        assert own_evaluations(folder, epoch=2) == []


BAD_ENTRIES: dict[str, Any] = {
    "no object": 7,
    "negative step": {"step": -1, "mAP": 0.5, "ap50": 0.5},
    "huge step": {"step": 2**60, "mAP": 0.5, "ap50": 0.5},
    "step is a truth value": {"step": True, "mAP": 0.5, "ap50": 0.5},
    "no step": {"mAP": 0.5, "ap50": 0.5},
    "no mAP": {"step": 10, "ap50": 0.5},
    "no ap50": {"step": 10, "mAP": 0.5},
    "text": {"step": 10, "mAP": "0.5", "ap50": 0.5},
    "not a number": {"step": 10, "mAP": float("nan"), "ap50": 0.5},
    "infinite": {"step": 10, "mAP": 0.5, "ap50": float("inf")},
    "huge": {"step": 10, "mAP": 10**400, "ap50": 0.5},
    "nothing to find": {"step": 10, "mAP": -1, "ap50": -1},
    "above one": {"step": 10, "mAP": 0.5, "ap50": 1.5},
}


@pytest.mark.parametrize("entry", BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_an_entry_that_does_not_fit_is_left_out(entry: Any) -> None:
    whole = {"step": 20, "mAP": 0, "ap50": 1}
    found = parse({"contractVersion": 1, "evaluations": [entry, whole]}, epoch=1)
    assert found == [Evaluation(20, 0.0, 1.0, 1)]


def test_the_best_is_the_first_of_equal_ones_by_the_metric() -> None:
    found = [Evaluation(10, 0.2, 0.9, 1), Evaluation(20, 0.4, 0.8, 1), Evaluation(30, 0.4, 0.9, 1)]
    assert best_of(found, "mAP") == found[1]
    assert best_of(found, "ap50") == found[0]
    assert best_of([], "mAP") is None


MATCHES: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]], list[tuple[int, int, int]]]] = {
    # checkpoints (step, epoch), evaluations (step, epoch), what is found: checkpoint (step, epoch) and epoch
    "its own": ([(10, 1), (20, 1)], [(10, 1), (20, 1)], [(10, 1, 1), (20, 1, 1)]),
    "resumed from": ([(10, 1)], [(10, 3)], [(10, 1, 3)]),
    "evaluated again": ([(10, 1)], [(10, 1), (10, 2)], [(10, 1, 2)]),
    "never uploaded, trained again": ([(10, 2)], [(10, 1)], []),
    "trained again": ([(10, 1), (10, 2)], [(10, 1), (10, 2)], [(10, 1, 1), (10, 2, 2)]),
    "the newer is resumed from": ([(10, 1), (10, 2)], [(10, 3)], [(10, 2, 3)]),
    "other steps": ([(10, 1)], [(20, 1)], []),
}


@pytest.mark.parametrize(("checkpoints", "evaluations", "expected"), MATCHES.values(), ids=MATCHES)
def test_an_evaluation_is_of_the_checkpoint_that_its_attempt_had(
    checkpoints: list[tuple[int, int]], evaluations: list[tuple[int, int]], expected: list[tuple[int, int, int]]
) -> None:
    scores = [Evaluation(step, 0.5, 0.5, epoch) for step, epoch in evaluations]
    found = by_checkpoint([checkpoint(*one) for one in checkpoints], scores)
    assert sorted((one.step, one.epoch, found[one].epoch) for one in found) == expected
