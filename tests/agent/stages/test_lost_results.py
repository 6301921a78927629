"""Results that are lost or damaged in the bucket: the next stage says so, and the stage before makes them again.

Every object that a stage left is deleted, cut, or changed in one byte; no step in between is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_run import Run
from stage_verdict import verdict_of
from trainingrun_agent.errors import IntegrityError, Outcome
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stages import export, prep, train
from trainingrun_agent.storage import damage
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer.fetch import fetch_train
from trainingrun_agent.verdict import Verdict
from trdemo.trainer_stand_in import EXPORTED
from voc_data import jpeg, voc

pytestmark = pytest.mark.contract


def delete(store: ObjectStore, key: str) -> None:
    store.delete(key)


def cut(store: ObjectStore, key: str) -> None:
    store.put(key, store.get(key, max_bytes=1 << 24)[:-1])


def change(store: ObjectStore, key: str) -> None:
    """Change one byte, in the middle."""
    data = bytearray(store.get(key, max_bytes=1 << 24))
    data[len(data) // 2] ^= 1
    store.put(key, bytes(data))


def overwrite(store: ObjectStore, key: str) -> None:
    store.put(key, b"{" * 64)


Damage = Callable[[ObjectStore, str], None]


@pytest.fixture
def made(run: Run) -> Run:
    """A run whose prep stage has ended, from eight images in the bucket."""
    run.document["dataset"]["train"] = {**run.document["dataset"]["train"], "key": "images/train/"}
    run.document["dataset"]["eval"] = {**run.document["dataset"]["eval"], "key": "images/eval/"}
    store = run.pod("prep").out
    for split, count in (("train", 6), ("eval", 2)):
        for number in range(count):
            store.put(f"images/{split}/{number}.jpg", jpeg(seed=f"{split} {number}"))
            store.put(f"images/{split}/{number}.xml", voc())
    assert prepare(run).outcome is Outcome.SUCCEEDED
    return run


def prepare(run: Run) -> Verdict:
    return verdict_of(prep, run.pod("prep"))


def trained(run: Run, **plan: Any) -> Verdict:
    context = run.pod("train")
    run.start_trainer(context, **plan)
    return verdict_of(train, context)


def fetched(run: Run) -> Verdict:
    """The verdict of a training that cannot begin."""
    return verdict_of(train, run.pod("train"))


def fetch(run: Run) -> None:
    """Fetch everything for training, as its agent does."""
    context = run.pod("train")
    with Folder.open(context.config.shared) as folder:
        fetch_train(context, folder, epoch=99, while_waiting=lambda: None)


def exported(run: Run) -> Verdict:
    context = run.pod("export")
    run.start_trainer(context, export=EXPORTED)
    return verdict_of(export, context)


def objects(run: Run) -> dict[str, bytes]:
    """What preparation made and training reads, by key; the documents that name times and pods are left out."""
    store = run.pod("prep").out
    keys = [info.key for info in store.list("lab/") if not info.key.endswith(".json")]
    return {key: store.get(key, max_bytes=1 << 24) for key in keys if "/train/" not in key}


def key_of(run: Run, which: str) -> str:
    """The first object of that role in the manifest of the data set, or the document of that name."""
    store = run.pod("prep").out
    named = {"prepared.json": f"{run.prefix}/prepared.json", "pipeline.config": f"{run.prefix}/pipeline.config"}
    if which in named:
        return named[which]
    [manifest] = [i.key for i in store.list("lab/datasets/") if i.key.endswith("MANIFEST.json")]
    if which == "manifest":
        return manifest
    entries = json.loads(store.get(manifest, max_bytes=1 << 20))["objects"]
    key = next(entry["key"] for entry in entries if entry["role"] == which)
    return f"lab/{key}" if key.startswith("datasets/") else f"{manifest.rpartition('/')[0]}/{key}"


LOST = [
    *(("trainRecords", how) for how in (delete, cut, change)),
    *((which, change) for which in ("evalRecords", "labelMap")),
    *((which, how) for which in ("manifest", "prepared.json", "pipeline.config") for how in (delete, overwrite)),
    ("pipeline.config", change),
]


@pytest.mark.parametrize(("which", "how"), LOST, ids=[f"{which} {how.__name__}" for which, how in LOST])
def test_a_lost_data_set_is_named_and_made_again(made: Run, which: str, how: Damage) -> None:
    before, key, store = objects(made), key_of(made, which), made.pod("prep").out
    how(store, key)
    lost = fetched(made)
    assert (lost.outcome, lost.reason) == (Outcome.STORAGE_REFUSED, "DatasetLost")
    assert key in lost.message
    assert lost.next_step == {"kind": "retry"}
    assert prepare(made).outcome is Outcome.SUCCEEDED
    assert objects(made) == before
    assert damage.marked(store, made.pod("prep").config.resolved.keys) == set()
    fetch(made)


@pytest.mark.parametrize("role", ["trainRecords", "evalRecords"])
def test_a_new_run_heals_the_shard_that_an_old_run_could_not_read(made: Run, role: str) -> None:
    before, key, store = objects(made), key_of(made, role), made.pod("prep").out
    change(store, key)
    assert fetched(made).reason == "DatasetLost"
    other = Run(made.root, {**made.document, "run": {"namespace": "team", "name": "tire", "uid": "f" * 36}})
    verdict = prepare(other)
    assert (verdict.outcome, verdict.numbers["reused"]) == (Outcome.SUCCEEDED, False)
    assert store.get(key, max_bytes=1 << 24) == before[key]
    fetch(made)


def test_all_damaged_shards_are_found_in_one_attempt(made: Run) -> None:
    store, keys = made.pod("prep").out, made.pod("prep").config.resolved.keys
    wrong = {key_of(made, role) for role in ("trainRecords", "evalRecords", "labelMap")}
    for key in wrong:
        change(store, key)
    verdict = fetched(made)
    assert verdict.message.endswith("; 2 more objects of it are lost")
    assert damage.marked(store, keys) == wrong
    prepare(made)
    fetch(made)


def test_a_shard_that_only_one_reader_found_damaged_is_read_and_believed(made: Run) -> None:
    """A node with bad memory must not make anything be thrown away."""
    context, key = made.pod("prep"), key_of(made, "trainRecords")
    damage.mark(context.out, context.config.resolved.keys, key, found=IntegrityError(), clock=context.clock)
    verdict = verdict_of(prep, context)
    assert verdict.reason == "Prepared"
    assert verdict.message.startswith("An earlier attempt prepared")
    assert damage.marked(context.out, context.config.resolved.keys) == set()
    assert not list(Path(context.config.shared).iterdir())


def test_without_a_mark_no_shard_is_read_again(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    context = made.pod("prep")
    read: list[str] = []
    download = type(context.out).download
    monkeypatch.setattr(
        type(context.out),
        "download",
        lambda self, key, *args, **more: (read.append(key), download(self, key, *args, **more))[1],
    )
    assert verdict_of(prep, context).outcome is Outcome.SUCCEEDED
    assert read == []


def test_training_goes_on_from_its_checkpoint_after_the_data_set_was_made_again(made: Run) -> None:
    assert trained(made, die_at=27).reason == "TrainerDied"
    change(made.pod("prep").out, key_of(made, "trainRecords"))
    assert fetched(made).reason == "DatasetLost"
    prepare(made)
    verdict = trained(made)
    assert (verdict.outcome, verdict.numbers["resumedFromStep"]) == (Outcome.SUCCEEDED, 20)


@pytest.mark.parametrize("how", [delete, overwrite], ids=lambda how: how.__name__)
def test_training_whose_result_is_lost_writes_it_again_without_new_steps(made: Run, how: Damage) -> None:
    trained(made)
    how(made.pod("train").out, f"{made.prefix}/trained.json")
    again = trained(made)
    assert (again.reason, again.numbers["resumedFromStep"]) == ("Trained", 30)
    assert exported(made).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("how", [delete, change], ids=lambda how: how.__name__)
def test_training_whose_last_checkpoint_is_lost_makes_it_again(made: Run, how: Damage) -> None:
    trained(made, die_at=27)
    verdict = trained(made)
    folder = verdict.numbers["checkpointURI"].partition("/lab/")[2]
    how(made.pod("train").out, f"lab/{folder}model.ckpt-30.data-00000-of-00001")
    again = trained(made)
    assert (again.reason, again.numbers["resumedFromStep"]) == ("Trained", 20)
    assert exported(made).numbers["checkpointStep"] == 30


def test_an_export_whose_graph_is_damaged_is_made_again(made: Run) -> None:
    trained(made)
    folder = exported(made).numbers["uri"].partition("/lab/")[2]
    change(made.pod("export").out, f"lab/{folder}frozen_inference_graph.pb")
    again = exported(made)
    assert (again.reason, again.numbers["uri"].endswith(folder)) == ("Exported", False)
    assert exported(made).reason == "AlreadyExported"
