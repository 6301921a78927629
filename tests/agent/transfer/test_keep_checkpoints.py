"""Checkpoints are deleted in the bucket while training runs, whatever interrupts or forbids it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent_run import RUN_UID, resolved_document
from memory_store import EPOCH, MemoryStore
from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.config import parse_resolved
from trainingrun_agent.errors import StageError, StorageOutage, StorageRefused, Superseded
from trainingrun_agent.keys import Attempt, BucketKeys
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.storage import ACCESS_DENIED, SERVER_ERROR
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.epochs import claim
from trainingrun_agent.storage.manifest import Manifest, Producer
from trainingrun_agent.storage.results import write_result
from trainingrun_agent.transfer.keep_checkpoints import LEFTOVER_AGE, CheckpointKeeper
from trainingrun_agent.transfer.resume import StoredCheckpoint, stored_checkpoints

pytestmark = pytest.mark.contract
RUN = BucketKeys("lab").run(namespace="team", name="tire", uid=RUN_UID)


class Bucket(MemoryStore):
    """Counts deletions; `failing` raises before the deletion of a key."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []
        self.failing: Callable[[str], StageError | None] = lambda key: None

    def delete(self, key: str) -> None:
        error = self.failing(key)
        if error is not None:
            raise error
        self.deleted.append(key.removeprefix(f"{RUN.folder}/train/"))
        super().delete(key)


class StillClock(Clock):
    """Shows the time at which the memory store says that everything was written, and what a test adds to it."""

    passed = timedelta()

    def now(self) -> Any:
        return EPOCH + self.passed


class Training:
    """The attempt `epoch` of a run in memory; earlier ones may have left something."""

    def __init__(self, shared: Path, *, epoch: int = 1, bucket: Bucket | None = None, **fields: Any) -> None:
        document = resolved_document("http://127.0.0.1:9", "detectors", **fields.pop("train", {}))
        document["export"] |= fields
        self.bucket = bucket or Bucket()
        self.clock, self.stop = StillClock(), threading.Event()
        self.progress = Progress(stage="train", pod_uid="p")
        config = SimpleNamespace(resolved=parse_resolved(json.dumps(document).encode()))
        context: Any = SimpleNamespace(
            config=config, out=self.bucket, clock=self.clock, stop=self.stop, progress=self.progress
        )
        self.shared = shared
        self.attempt = attempt(epoch)
        while claim(self.bucket, RUN, f"pod-{epoch}") < epoch:
            pass
        self.keeper = CheckpointKeeper(context, self.attempt, Folder.open(shared))

    def ship(self, *steps: int) -> list[int] | None:
        """Upload checkpoints; returns what is left then."""
        for step in steps:
            self.keeper.shipped(store_checkpoint(self.bucket, self.attempt, step, created=rfc3339(self.clock.now())))
            self.keeper.turn()
        return self.keeper.steps

    def evaluated(self, **scores: float) -> None:
        document = evaluations(**scores)
        (self.shared / "evaluations.json").write_text(json.dumps(document))


def attempt(epoch: int) -> Attempt:
    return RUN.attempt("train", epoch=epoch, pod_uid=f"pod{epoch}")


def evaluations(**scores: float) -> dict[str, Any]:
    """By `s<step>`, the mAP."""
    entries = [{"step": int(name[1:]), "mAP": score, "ap50": score} for name, score in scores.items()]
    return {"contractVersion": 1, "evaluations": entries}


def store_checkpoint(
    store: MemoryStore, of: Attempt, step: int, *, created: str = "2026-01-01T00:00:00Z"
) -> StoredCheckpoint:
    folder = of.checkpoint(step)
    for name in ("data-00000-of-00001", "index"):
        store.put(f"{folder}/model.ckpt-{step}.{name}", b"x")
    manifests.write(store, folder, Manifest("checkpoint", Producer("p", of.epoch), created, (), step=step))
    return StoredCheckpoint(step, of.epoch, folder)


def keep(last: int, best: int = 0, hours: int | None = None) -> dict[str, Any]:
    return {"keepCheckpoints": {"last": last, "best": best, "everyHours": hours}}


def left(store: MemoryStore) -> list[int]:
    return [one.step for one in stored_checkpoints(store, RUN, before_epoch=99)]


def test_a_manifest_goes_before_the_files_it_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Training(tmp_path, train=keep(1))
    with caplog.at_level("INFO"):
        assert training.ship(10, 20) == [20]
    folder = "0001-pod1/checkpoints/00000010"
    names = ["MANIFEST.json", "model.ckpt-10.data-00000-of-00001", "model.ckpt-10.index"]
    assert training.bucket.deleted == [f"{folder}/{name}" for name in names]
    assert training.progress.snapshot()["keptCheckpoints"] == [20]
    assert (
        f"deleted checkpoint s3://detectors/{RUN.folder}/train/{folder}/: it is not among those that keepCheckpoints"
        " {last: 1, best: 0} keeps" in caplog.text
    )


def test_documents_of_earlier_versions_delete_nothing(tmp_path: Path) -> None:
    training = Training(tmp_path)
    assert training.ship(10, 20, 30) == [30, 20, 10]
    assert training.bucket.deleted == []
    assert training.progress.snapshot()["keptCheckpoints"] == [30, 20, 10]


def test_the_best_of_all_attempts_stays(tmp_path: Path) -> None:
    bucket = Bucket()
    for step in (10, 20):
        store_checkpoint(bucket, attempt(1), step)
    bucket.put(attempt(1).evaluations, json.dumps(evaluations(s10=0.9, s20=0.2)).encode())
    training = Training(tmp_path, epoch=2, bucket=bucket, train=keep(1, best=1))
    training.keeper.turn()
    assert training.keeper.steps == [20, 10], "before anything newer is in the bucket, what training resumed from stays"
    training.evaluated(s30=0.5)
    assert training.ship(30, 40) == [40, 10]
    training.evaluated(s30=0.5, s40=0.95)
    assert training.ship(50) == [50, 40]
    assert left(bucket) == [50, 40]


@pytest.mark.parametrize("export", ["best", 10], ids=str)
def test_what_is_to_be_exported_stays_and_is_never_dropped_before_its_upload(tmp_path: Path, export: Any) -> None:
    training = Training(tmp_path, train=keep(1), checkpoint=export)
    training.evaluated(s10=0.9, s20=0.8)
    assert training.keeper.protected() == {10}
    assert training.ship(10, 20, 30) == [30, 10]


def test_a_best_of_an_earlier_attempt_protects_nothing_of_this_one(tmp_path: Path) -> None:
    bucket = Bucket()
    store_checkpoint(bucket, attempt(1), 10)
    bucket.put(attempt(1).evaluations, json.dumps(evaluations(s10=0.9)).encode())
    training = Training(tmp_path, epoch=2, bucket=bucket, train=keep(1, best=1))
    training.evaluated(s20=0.5)
    assert training.keeper.protected() == {20}
    training.keeper.turn()
    assert training.keeper.protected() == set()
    training.evaluated(s20=0.95)
    assert training.keeper.protected() == {20}


def test_nothing_is_protected_for_documents_of_earlier_versions(tmp_path: Path) -> None:
    training = Training(tmp_path)
    training.evaluated(s10=0.9)
    assert training.keeper.protected() == set()


def test_one_for_each_hour_by_the_time_in_the_manifest(tmp_path: Path) -> None:
    bucket = Bucket()
    created = {10: "2026-01-01T00:10:00Z", 20: "2026-01-01T00:20:00Z", 30: "2026-01-01T03:00:00Z", 40: "yesterday"}
    for step, text in created.items():
        store_checkpoint(bucket, attempt(1), step, created=text)
    training = Training(tmp_path, epoch=2, bucket=bucket, train=keep(1, hours=1))
    training.clock.passed = timedelta(hours=5)
    assert training.ship(50, 60) == [60, 40, 30, 20]


@pytest.mark.parametrize("stage", ["train", "export"])
def test_a_checkpoint_that_a_result_names_stays(tmp_path: Path, stage: Any) -> None:
    bucket = Bucket()
    named = store_checkpoint(bucket, attempt(1), 10)
    store_checkpoint(bucket, attempt(1), 20)
    key = BucketKeys("lab").relative(named.manifest_key) if stage == "train" else "runs/export/MANIFEST.json"
    numbers = {} if stage == "train" else {"checkpointStep": 10}
    claim(bucket, RUN, "pod1")
    write_result(bucket, RUN, stage=stage, producer=Producer("p", 1), manifest_key=key, numbers=numbers)
    training = Training(tmp_path, epoch=2, bucket=bucket, train=keep(1))
    assert training.ship(30) == [30, 10]


def test_a_pod_that_was_replaced_deletes_nothing(tmp_path: Path) -> None:
    training = Training(tmp_path, train=keep(1))
    training.ship(10)
    claim(training.bucket, RUN, "pod-2")
    with pytest.raises(Superseded):
        training.ship(20)
    assert training.bucket.deleted == []
    assert left(training.bucket) == [20, 10]


def test_a_pod_that_is_to_end_deletes_nothing(tmp_path: Path) -> None:
    training = Training(tmp_path, train=keep(1))
    training.stop.set()
    assert training.ship(10, 20) == [20, 10]
    assert training.bucket.deleted == []


def test_an_attempt_that_only_finishes_a_run_deletes_what_the_one_before_left(tmp_path: Path) -> None:
    """One that was told to end had uploaded a last checkpoint, and deleted nothing any more."""
    (tmp_path / "a").mkdir()
    first = Training(tmp_path / "a", train=keep(last=2))
    first.ship(10, 20)
    first.stop.set()
    first.ship(25)
    (tmp_path / "b").mkdir()
    second = Training(tmp_path / "b", epoch=2, bucket=first.bucket, train=keep(last=2))
    second.keeper.turn()
    assert left(first.bucket) == [25, 20, 10]
    second.keeper.last_turn()
    assert left(first.bucket) == second.keeper.kept() == [25, 20]


def test_a_refusal_is_a_warning_once_and_training_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Training(tmp_path, train=keep(1))
    denied = StorageRefused(ACCESS_DENIED, call="DeleteObject", where="s3://detectors/x", answer="403")
    training.bucket.failing = lambda key: denied
    assert training.ship(10, 20, 30) == [30, 20, 10]
    assert caplog.text.count("checkpoints that are not needed any more stay in the bucket: AccessDenied") == 1
    training.bucket.failing = lambda key: None
    assert training.ship(40) == [40, 30, 20, 10], "it is not tried again"


INTERRUPTIONS: dict[str, tuple[StageError, bool]] = {
    "outage": (StorageOutage(SERVER_ERROR, call="DeleteObject", where="s3://detectors/x", answer="503"), True),
    "refusal": (StorageRefused(ACCESS_DENIED, call="DeleteObject", where="s3://detectors/x", answer="403"), False),
}


@pytest.mark.parametrize(("error", "ends"), INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_an_interrupted_deletion_leaves_no_checkpoint_and_is_finished_by_the_next_attempt(
    tmp_path: Path, error: StageError, ends: bool
) -> None:
    first = Training(tmp_path, train=keep(1))
    first.bucket.failing = lambda key: error if key.endswith(".index") else None
    if ends:
        with pytest.raises(StorageOutage):
            first.ship(10, 20)
    else:
        assert first.ship(10, 20) == [20]
    assert left(first.bucket) == [20]
    first.bucket.failing = lambda key: None
    second = Training(tmp_path, epoch=2, bucket=first.bucket, train=keep(1))
    orphan = f"{attempt(1).checkpoint(10)}/model.ckpt-10.index"
    second.ship(30)
    assert orphan in first.bucket.objects, "it may be an upload of a pod that was replaced a moment ago"
    second.clock.passed = LEFTOVER_AGE + timedelta(seconds=1)
    second.ship(40)
    assert orphan not in first.bucket.objects
    assert left(first.bucket) == [40]


def test_an_upload_that_is_under_way_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    training = Training(tmp_path, train=keep(1))
    training.clock.passed = 2 * LEFTOVER_AGE
    training.bucket.put(f"{training.attempt.checkpoint(30)}/model.ckpt-30.data-00000-of-00001", b"x")
    training.ship(10, 20)
    assert f"{training.attempt.checkpoint(30)}/model.ckpt-30.data-00000-of-00001" in training.bucket.objects


def test_a_failure_after_training_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Training(tmp_path, train=keep(1))
    training.ship(10)
    claim(training.bucket, RUN, "pod-2")
    training.keeper.shipped(store_checkpoint(training.bucket, training.attempt, 20))
    training.keeper.last_turn()
    assert "stay in the bucket: Superseded" in caplog.text


def test_no_more_steps_are_reported_than_the_contract_allows(tmp_path: Path, contract: Any) -> None:
    training = Training(tmp_path)
    training.ship(*range(10, 500, 10))
    assert training.keeper.kept() == list(range(490, 170, -10))
    contract("progress", training.progress.snapshot())


def test_requests_do_not_grow_with_what_is_kept(tmp_path: Path) -> None:
    """The bucket is listed once; from then on only what is deleted."""
    listed: list[str] = []

    class Counting(Bucket):
        def list(self, prefix: str, **options: Any) -> Any:
            listed.append(prefix)
            return super().list(prefix, **options)

    training = Training(tmp_path, bucket=Counting(), train=keep(1))
    training.ship(10, 20)
    listed.clear()
    training.keeper.turn()
    assert listed == []
    training.ship(30)
    assert len(listed) == 2, listed  # the epochs, and the folder that is deleted
