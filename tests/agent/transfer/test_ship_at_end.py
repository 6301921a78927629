"""In which order things leave a pod that ends: what would be missed most leaves first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.transfer import ship_training
from trainingrun_agent.transfer.ship_training import TrainingShipper
from trcluster import waiting

pytestmark = pytest.mark.contract
ATTEMPT = Attempt(1, "lab/runs/team/tire-0a1b2c3d/train/0001-abcdef01")
EVENTS = "events.out.tfevents.1700000000.host"
PATIENCE = 60.0


class SlowCheckpoints:
    """A bucket to which uploads of checkpoints are held back until `let_pass`; records the order of the keys."""

    def __init__(self, store: Any) -> None:
        self.store, self.bucket = store, store.bucket
        self.let_pass, self.begun = threading.Event(), threading.Event()
        self.order: list[str] = []

    def upload(self, key: str, *arguments: Any, **options: Any) -> Any:
        if "/checkpoints/" in key:
            self.begun.set()
            assert self.let_pass.wait(PATIENCE)
        return self._done(key, self.store.upload(key, *arguments, **options))

    def put(self, key: str, data: bytes, **options: Any) -> Any:
        return self._done(key, self.store.put(key, data, **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def _done(self, key: str, result: Any) -> Any:
        self.order.append(key[len(ATTEMPT.folder) + 1 :].partition("/")[0])
        return result


class Training:
    """A shared folder in which training writes."""

    def __init__(self, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ship_training, "EVENT_SECONDS", 0.02)
        context = run.pod("train")
        self.root: Path = context.config.shared
        self.stop: threading.Event = context.stop
        (self.root / "model").mkdir()
        (self.root / "ready").mkdir()
        self.bucket = SlowCheckpoints(context.out)
        object.__setattr__(context, "store_for", lambda _: self.bucket)
        self.folder = Folder.open(self.root)
        self.shipper = TrainingShipper(context, ATTEMPT, self.folder, newest=None)

    def write_events(self, data: bytes) -> None:
        with (self.root / "model" / EVENTS).open("ab") as file:
            file.write(data)

    def save(self, step: int) -> None:
        names = (f"model.ckpt-{step}.data-00000-of-00001", f"model.ckpt-{step}.index")
        for name in names:
            (self.root / "model" / name).write_bytes(b"x" * 10)
        document = {"contractVersion": 1, "step": step, "files": [{"name": name, "size": 10} for name in names]}
        (self.root / "ready" / f"{step:08d}.json").write_text(json.dumps(document))

    def chunks(self) -> list[str]:
        return [info.key for info in self.bucket.store.list(f"{ATTEMPT.folder}/events/")]


@pytest.fixture
def training(run: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Training]:
    made = Training(run, monkeypatch)
    with made.folder:
        yield made


def until(condition: Callable[[], bool], what: str) -> None:
    waiting.until(condition, what=what, seconds=PATIENCE, every=0.01)


@pytest.mark.parametrize(("stopped", "chunks"), [(True, 3), (False, 1)], ids=["SIGTERM", "trained"])
def test_the_checkpoint_leaves_before_the_rest_of_the_events(training: Training, stopped: bool, chunks: int) -> None:
    """After SIGTERM event files are not merged either, because that sends all of them again."""
    shipper, bucket = training.shipper, training.bucket
    shipper.start()
    for number in (1, 2):
        training.write_events(b"first")
        until(lambda wanted=number: bucket.order == ["events"] * wanted, "an event chunk")  # type: ignore[misc]
    if stopped:
        training.stop.set()
    training.save(7)
    shipper.turn(7, 0.5)
    shipper.close()
    training.write_events(b"last")
    assert bucket.begun.wait(PATIENCE)
    until(lambda: bucket.order[2:] == ["last.json"], "the last step, which is small")
    assert not shipper.checkpoint_shipped(0.1)
    assert not shipper.events_shipped(0.1)
    assert bucket.order[2:] == ["last.json"]
    bucket.let_pass.set()
    until(lambda: shipper.checkpoint_shipped(0.1), "the checkpoint")
    until(lambda: shipper.events_shipped(0.1), "the events")
    assert bucket.order[3:7] == ["checkpoints", "checkpoints", "checkpoints", "events"]
    assert len(training.chunks()) == chunks


def test_a_pod_that_is_to_end_sends_no_events_before_the_trainer_has_saved(training: Training) -> None:
    training.stop.set()
    training.shipper.start()
    training.write_events(b"first")
    training.shipper.turn(7, 0.5)
    training.shipper._event_thread.wake()
    waiting.until(lambda: not training.shipper._event_thread._wake.is_set(), what="a turn", seconds=PATIENCE)
    assert training.chunks() == []
    training.shipper.close()
    until(lambda: training.shipper.events_shipped(0.1), "the events")
    assert len(training.chunks()) == 1


def test_evaluations_are_in_the_bucket_before_the_checkpoint_that_training_reached_after_them(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt may go on from it, and nobody evaluates the steps before it again."""
    monkeypatch.setattr(training.shipper, "_ship_events", lambda: None)  # that thread comes too late
    training.bucket.let_pass.set()
    scores = {"step": 10, "mAP": 0.25, "ap50": 0.5}
    (training.root / "evaluations.json").write_text(json.dumps({"contractVersion": 1, "evaluations": [scores]}))
    training.save(20)
    training.shipper.turn(20, 0.5)
    training.shipper._checkpoint_thread.start()
    until(lambda: training.shipper.newest is not None, "the checkpoint")
    assert training.bucket.order == ["checkpoints", "checkpoints", "evaluations.json", "checkpoints"]
    training.shipper.close()
    until(lambda: training.shipper.checkpoint_shipped(0.1), "the end")
