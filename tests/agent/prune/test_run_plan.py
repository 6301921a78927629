"""What `trainingrun prune --runs` may delete, decided from what lies in the folders of runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memory_store import MemoryStore
from trainingrun_agent.keys import BucketKeys, RunKeys
from trainingrun_agent.prune import RunRules, StoredRun, plan_runs, survey_runs, unknown
from trainingrun_agent.storage.base import ObjectInfo

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = RunRules(30 * DAY)
BEFORE_TRAINING = ["epochs/0001.json", "pipeline.config", "prepared.json", "run.json"]
CHECKPOINTS = [
    f"train/0001-p/checkpoints/{step:08d}/{name}"
    for step in (10, 20, 30)
    for name in ("MANIFEST.json", f"model.ckpt-{step}.index")
]
TRAINING = [*CHECKPOINTS, "train/0001-p/events/train/f/0", "train/0001-p/last.json", "logs/train-0001-p/agent.log"]
EXPORT = ["export/0002-q/MANIFEST.json", "export/0002-q/frozen_inference_graph.pb"]


def stored(
    name: str = "lab/a-00000001", *, age: timedelta = 40 * DAY, finished: bool = True, **changes: Any
) -> StoredRun:
    keys = RunKeys(f"ml/runs/{name}")
    files = [*BEFORE_TRAINING, *TRAINING, *([*EXPORT, "trained.json", "exported.json"] if finished else [])]
    infos = [ObjectInfo(f"{keys.folder}/{file}", 10, "e", NOW - age) for file in files]
    needs = frozenset({f"{keys.folder}/train/0001-p/checkpoints/00000030"}) if finished else frozenset[str]()
    options: dict[str, Any] = {"finished": finished, "needs": needs, "exported_step": 10 if finished else None}
    return StoredRun(name, keys, infos, **(options | changes))


def deleted(rules: RunRules, *runs: StoredRun) -> list[str]:
    """Keys to delete, in order, below runs/."""
    return [
        info.key.removeprefix("ml/runs/") for deletion in plan_runs(runs, rules, now=NOW) for info in deletion.objects
    ]


def below(name: str, files: list[str]) -> list[str]:
    return [f"{name}/{file}" for file in files]


def going(rules: RunRules, run: StoredRun) -> set[str]:
    return {key.removeprefix(f"{run.name}/") for key in deleted(rules, run)}


def test_a_finished_run_keeps_its_export_and_what_says_how_it_was_made() -> None:
    assert going(MONTH, stored()) == set(TRAINING)


def test_a_run_that_may_go_on_stays_while_nothing_says_that_it_was_deleted() -> None:
    run = stored(finished=False)
    assert deleted(MONTH, run) == []
    assert unknown([run, stored("lab/b-00000002", age=DAY, finished=False), stored()], MONTH, now=NOW) == 1
    assert unknown([run], RunRules(30 * DAY, living=["lab/b-00000002"]), now=NOW) == 0


def test_of_a_deleted_run_only_the_export_stays() -> None:
    rules = RunRules(30 * DAY, living={"lab/other-00000009"})
    assert going(rules, stored(finished=False)) == {*BEFORE_TRAINING, *TRAINING}
    left = {*EXPORT, "exported.json", "run.json", "pipeline.config"}
    assert going(rules, stored()) == {*BEFORE_TRAINING, *TRAINING, "trained.json"} - left


def test_exports_go_when_they_are_asked_for() -> None:
    rules = RunRules(30 * DAY, living={"lab/other-00000009"}, exports=True)
    assert going(rules, stored()) == {*BEFORE_TRAINING, *TRAINING, *EXPORT, "trained.json", "exported.json"}
    assert going(RunRules(30 * DAY, exports=True), stored()) == {*TRAINING, *EXPORT, "exported.json"}


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "not finished"])
def test_a_living_run_stays(finished: bool) -> None:
    run = stored(finished=finished)
    assert deleted(RunRules(30 * DAY, living={run.name}), run) == []


@pytest.mark.parametrize(
    ("age", "gone"), [(29 * DAY, False), (30 * DAY, False), (31 * DAY, True)], ids=["younger", "as old", "older"]
)
def test_only_runs_older_than_the_limit_are_deleted(age: timedelta, gone: bool) -> None:
    assert bool(deleted(MONTH, stored(age=age))) is gone
    assert bool(deleted(RunRules(30 * DAY, living={"lab/x-00000009"}), stored(age=age))) is gone


def test_the_newest_object_decides_the_age() -> None:
    run = stored()
    run.objects.append(ObjectInfo(f"{run.keys.folder}/logs/x", 1, "e", NOW - DAY))
    assert deleted(MONTH, run) == []


def test_a_run_whose_documents_cannot_be_read_stays() -> None:
    assert deleted(RunRules(30 * DAY, living={"lab/x-00000009"}), stored(readable=False)) == []


def test_what_another_run_starts_from_stays_as_long_as_that_run() -> None:
    source = stored("lab/a-00000001")
    user = stored("lab/b-00000002", age=DAY, finished=False, starts_from=frozenset({source.name}))
    assert deleted(MONTH, source, user) == []
    old = stored("lab/b-00000002", starts_from=frozenset({source.name}))
    assert {key.split("/")[1] for key in deleted(MONTH, source, old)} == {"a-00000001", "b-00000002"}


@pytest.mark.parametrize("needed", ["lab/a-00000001", "lab/a-"], ids=["by address", "by name"])
def test_what_a_living_run_starts_from_stays_before_it_is_prepared(needed: str) -> None:
    rules = RunRules(30 * DAY, living={"lab/b-00000002"}, needed=frozenset({needed}), keep_checkpoints=1)
    assert deleted(rules, stored()) == []


def test_pointers_go_before_manifests_and_manifests_before_files() -> None:
    rules = RunRules(30 * DAY, living={"lab/x-00000009"}, exports=True)
    order = [key.rpartition("/")[2] for key in deleted(rules, stored())]
    assert order[:3] == ["exported.json", "prepared.json", "trained.json"]
    assert order[3:7] == ["MANIFEST.json"] * 4
    assert "MANIFEST.json" not in order[7:]


def test_a_rule_for_checkpoints_applies_to_runs_that_have_a_model_whatever_their_age() -> None:
    rules = RunRules(30 * DAY, keep_checkpoints=1)
    names = ["MANIFEST.json", "model.ckpt-20.index"]
    new, training = stored(age=DAY), stored("lab/b-00000002", age=DAY, finished=False)
    assert deleted(rules, new, training) == below(
        "lab/a-00000001", [f"train/0001-p/checkpoints/00000020/{name}" for name in names]
    ), "the newest, and the one that was exported, stay"
    assert deleted(RunRules(30 * DAY, keep_checkpoints=2), new) == []
    assert len(deleted(rules, stored(age=DAY, exported_step=None))) == 4


@pytest.mark.parametrize("living", [None, {"lab/x-00000009"}], ids=["finished", "its TrainingRun is gone"])
def test_an_old_run_keeps_the_checkpoints_that_the_rule_keeps(living: set[str] | None) -> None:
    rules = RunRules(30 * DAY, living=living, keep_checkpoints=1)
    gone = {key for key in going(rules, stored()) if "/checkpoints/" in key}
    assert gone == {key for key in CHECKPOINTS if "/00000020/" in key}, "the newest, and the exported one, stay"
    assert "train/0001-p/events/train/f/0" in going(rules, stored())


def test_deletions_state_their_reason() -> None:
    (old,) = plan_runs([stored()], MONTH, now=NOW)
    (gone,) = plan_runs([stored()], RunRules(30 * DAY, living={"x/y-00000009"}), now=NOW)
    (newer,) = plan_runs([stored(age=DAY)], RunRules(30 * DAY, keep_checkpoints=1), now=NOW)
    assert (old.what, old.why) == ("runs/lab/a-00000001", "it has finished, 40 days old")
    assert gone.why == "its TrainingRun does not exist, 40 days old"
    assert newer.why == "it has finished, and has newer checkpoints than these (1 are kept)"


class Vanishing(MemoryStore):
    """A bucket in which a run is deleted between the listing of all runs and that of its own objects."""

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        if prefix == "runs/lab/a-00000001/":
            self.objects.pop(f"{prefix}run.json", None)
        yield from super().list(prefix, start_after=start_after, limit=limit)


def test_a_run_that_is_deleted_meanwhile_is_no_run() -> None:
    store = Vanishing()
    store.put("runs/lab/a-00000001/run.json", b"{}")
    store.put("runs/lab/b-00000002/run.json", b"{}")
    runs = survey_runs(store, BucketKeys(""), stop=threading.Event())
    assert [run.name for run in runs] == ["lab/b-00000002"]
    assert plan_runs(runs, MONTH, now=NOW) == []
