"""The train stage with a simulated trainer that works correctly or fails."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from stage_verdict import verdict_of
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Outcome, Superseded
from trainingrun_agent.shared import liveness
from trainingrun_agent.stages import train
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage import retry
from trainingrun_agent.storage.epochs import claim
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.storage.results import read_result, write_result
from trainingrun_agent.verdict import Verdict
from trcluster import waiting

pytestmark = pytest.mark.contract
Check = Callable[[str, Any], None]
PATIENCE = 60.0  # seconds on a busy machine


def start(context: StageContext) -> tuple[threading.Thread, list[Verdict]]:
    """Run the stage in a thread."""
    verdicts: list[Verdict] = []
    thread = threading.Thread(target=lambda: verdicts.append(verdict_of(train, context)))
    thread.start()
    return thread, verdicts


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    waiting.until(condition, what="the trainer's or the agent's next step", seconds=PATIENCE, every=0.02)


def end_of(thread: threading.Thread) -> None:
    """Wait for the end of the stage."""
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"the stage did not end within {PATIENCE:.0f} s"


def step_of(context: StageContext) -> int:
    return int(context.progress.snapshot().get("step", 0))


def test_trained_run_has_pointer_manifests_and_events(prepared: Any, contract: Check) -> None:
    context = prepared.pod("train")
    prepared.start_trainer(context)
    verdict = verdict_of(train, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.SUCCEEDED, "Trained")
    contract("verdict", verdict.to_json())
    contract("progress", context.progress.snapshot())
    contract("shared-spec", json.loads((context.config.shared / "spec.json").read_text()))
    result = read_result(context.out, prepared.run_keys, "train")
    assert result is not None
    contract("stage-result", result)
    assert result["numbers"]["checkpointStep"] == 30
    assert result["numbers"]["ap50"] == 0.9
    key = f"lab/{result['manifestKey']}"
    contract("manifest", json.loads(context.out.get(key, max_bytes=100_000)))
    for entry in manifests.read(context.out, key).objects:
        data = context.out.get(f"{key.rpartition('/')[0]}/{entry.key}", max_bytes=1_000_000)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)


def test_bucket_holds_the_documented_layout_and_one_object_per_event_file(prepared: Any) -> None:
    context = prepared.pod("train")
    prepared.start_trainer(context)
    verdict_of(train, context)

    attempt = f"0001-{context.config.pod_uid[:8]}"
    keys = prepared.keys(context.out, f"train/{attempt}/")
    events = [key for key in keys if key.startswith("events/")]
    assert [key.split("/")[1] for key in events] == ["eval_0", "train"]
    assert all(key.endswith(f"/{0:020d}") for key in events)
    local = next((context.config.shared / "model").glob("events*"))
    assert context.out.get(f"{prepared.prefix}/train/{attempt}/{events[1]}", max_bytes=10**7) == local.read_bytes()
    assert "last.json" in keys
    assert {key.split("/")[0] for key in keys} == {"checkpoints", "events", "last.json"}


def test_fetched_files_are_whole_and_spool_is_empty_at_the_end(prepared: Any) -> None:
    context = prepared.pod("train")
    prepared.start_trainer(context)
    verdict_of(train, context)

    dataset = context.config.shared / "dataset"
    assert sorted(path.name for path in dataset.iterdir()) == [
        "eval-00000-of-00001.tfrecord",
        "label_map.pbtxt",
        "train-00000-of-00003.tfrecord",
        "train-00001-of-00003.tfrecord",
        "train-00002-of-00003.tfrecord",
    ]
    assert (dataset / "train-00002-of-00003.tfrecord").read_bytes() == b"train-2" * 5000
    assert list((context.config.shared / "spool").iterdir()) == []


def test_only_the_checkpoints_that_the_spec_keeps_are_left(prepared: Any, contract: Check) -> None:
    prepared.document["train"]["keepCheckpoints"] = {"last": 1, "best": 1, "everyHours": None}
    context = prepared.pod("train")
    prepared.start_trainer(
        context, steps=30, save_every=5, seconds_per_step=0.05, scores={"5": 0.1, "10": 0.7, "20": 0.6}
    )
    verdict = verdict_of(train, context)

    assert verdict.outcome is Outcome.SUCCEEDED
    contract("verdict", verdict.to_json())
    contract("progress", context.progress.snapshot())
    assert verdict.numbers["keptCheckpoints"] == context.progress.snapshot()["keptCheckpoints"] == [30, 10]
    keys = prepared.keys(context.out, "train/")
    checkpoints = [key.split("/", 2)[2] for key in keys if "/checkpoints/" in key]
    names = ["MANIFEST.json", "model.ckpt-{}.data-00000-of-00001", "model.ckpt-{}.index"]
    assert checkpoints == [f"{step:08d}/{name.format(step)}" for step in (10, 30) for name in names]


def test_finished_training_is_not_done_again(prepared: Any, contract: Check) -> None:
    first = prepared.pod("train")
    prepared.start_trainer(first)
    verdict_of(train, first)
    second = prepared.pod("train")
    trainer = prepared.start_trainer(second)
    verdict = verdict_of(train, second)

    assert (verdict.outcome, verdict.reason) == (Outcome.SUCCEEDED, "AlreadyTrained")
    assert verdict.numbers["checkpointStep"] == 30
    contract("shared-failed", json.loads((second.config.shared / "fetch-failed.json").read_text()))
    assert trainer.wait(timeout=PATIENCE) == 0
    assert len(prepared.keys(second.out, "epochs/")) == 1


def test_killed_trainer_is_a_crash_and_the_next_attempt_resumes(prepared: Any, contract: Check) -> None:
    first = prepared.pod("train")
    (first.config.shared / "trainer.log").write_bytes(b"step 26\nF core.cc:7] Check failed: \x1b[31mx\n\n")
    prepared.start_trainer(first, die_at=27, seconds_per_step=0.05)
    crash = verdict_of(train, first)
    second = prepared.pod("train")
    prepared.start_trainer(second)
    verdict = verdict_of(train, second)

    contract("verdict", crash.to_json())
    assert (crash.outcome, crash.reason) == (Outcome.CRASH, "TrainerDied")
    assert crash.numbers["newestCheckpointStep"] == 20
    assert crash.numbers["trainingSeconds"] > 0
    assert first.progress.snapshot()["trainingSeconds"] == crash.numbers["trainingSeconds"]
    assert "step 20" in crash.message
    assert "of 30 while training. Its log ends with: F core.cc:7] Check failed: \ufffd[31mx." in crash.message
    assert verdict.outcome is Outcome.SUCCEEDED
    assert verdict.numbers["resumedFromStep"] == 20
    assert 0 <= verdict.numbers["stepsLost"] <= 7
    spec = json.loads((second.config.shared / "spec.json").read_text())
    assert spec["resumedFromStep"] == 20
    assert spec["evaluateResumed"]  # the trainer died before it had evaluated anything
    assert verdict.numbers["checkpointURI"].endswith(f"train/0002-{second.config.pod_uid[:8]}/checkpoints/00000030/")


def test_a_superseded_pod_publishes_nothing_more(prepared: Any, contract: Check) -> None:
    """The old pod still runs, cut off by the network: both pods can reach only the bucket."""
    old = prepared.pod("train")
    prepared.start_trainer(old, seconds_per_step=0.05)
    thread, verdicts = start(old)
    until(lambda: old.progress.snapshot().get("checkpointStep") == 10)
    new = prepared.pod("train")
    claim(new.out, prepared.run_keys, new.config.pod_uid)
    end_of(thread)

    contract("verdict", verdicts[0].to_json())
    assert (verdicts[0].outcome, verdicts[0].reason) == (Outcome.INTERRUPTED, "Superseded")
    assert verdicts[0].message == (
        "a later pod claimed epoch 2 of this run; this one, of epoch 1, publishes nothing more"
    )
    published = [key for key in prepared.keys(new.out, "train/") if key.endswith("MANIFEST.json")]
    assert published == [f"0001-{old.config.pod_uid[:8]}/checkpoints/00000010/MANIFEST.json"]
    prepared.start_trainer(new)
    assert verdict_of(train, new).numbers["resumedFromStep"] == 10


def test_a_result_is_published_by_the_newest_epoch_only(prepared: Any) -> None:
    store = prepared.pod("train").out
    assert [claim(store, prepared.run_keys, name) for name in ("old", "new")] == [1, 2]
    publish = partial(write_result, store, prepared.run_keys, stage="train", manifest_key="x", numbers={})
    with pytest.raises(Superseded):
        publish(producer=Producer("old", 1))
    assert read_result(store, prepared.run_keys, "train") is None
    publish(producer=Producer("new", 2))
    assert read_result(store, prepared.run_keys, "train")["podUID"] == "new"


def test_sigterm_ships_the_last_checkpoint_before_the_agent_ends(prepared: Any, contract: Check) -> None:
    context = prepared.pod("train")
    trainer = prepared.start_trainer(context, seconds_per_step=0.05)
    thread, verdicts = start(context)
    until(lambda: step_of(context) >= 3)
    shown = context.progress.snapshot()
    assert (shown["phase"], shown["total"], shown["steps"], shown["unit"]) == ("training", 30, 30, "steps")
    context.stop.set()
    trainer.send_signal(signal.SIGTERM)
    end_of(thread)

    (verdict,) = verdicts
    contract("verdict", verdict.to_json())
    assert (verdict.outcome, verdict.reason) == (Outcome.INTERRUPTED, "Interrupted")
    assert verdict.numbers["newestCheckpointStep"] == verdict.numbers["step"] >= 3
    assert f"step {verdict.numbers['step']}" in verdict.message


def test_a_hang_of_the_last_upload_costs_no_number_of_the_verdict(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner then makes the verdict of what is known."""
    seen = {}
    monkeypatch.setattr(
        train.TrainerStage, "write_result", lambda stage, **_: seen.update(stage.context.record.numbers)
    )
    context = prepared.pod("train")
    prepared.start_trainer(context)
    verdict_of(train, context)
    assert (seen["step"], seen["checkpointStep"], seen["ap50"]) == (30, 30, 0.9)


def test_an_evaluation_changes_neither_percentage_nor_time_left_to_its_own(prepared: Any) -> None:
    context = prepared.pod("train")
    # Evaluations long enough to be seen by an agent that has to wait for a core.
    prepared.start_trainer(context, seconds_per_step=0.06, evaluation_seconds=0.8)
    thread, _ = start(context)
    shown = [context.progress.snapshot()]
    while thread.is_alive():
        thread.join(0.02)
        shown.append(context.progress.snapshot())
    evaluating = [one for one in shown if one["phase"] == "evaluating"]
    assert {one["percent"] for one in evaluating} == {33, 66, 99}
    assert {one["unit"] for one in evaluating} == {"images"}
    assert all(one["etaSeconds"] <= 20 for one in shown if "etaSeconds" in one)
    percentages = [one["percent"] for one in shown if "percent" in one]
    assert percentages == sorted(percentages)
    assert any("etaSeconds" in one for one in evaluating)


def test_trainer_that_ignores_sigterm_does_not_cost_the_verdict(prepared: Any) -> None:
    context = prepared.pod("train", grace=4)
    prepared.start_trainer(context, hang_at=15)
    thread, verdicts = start(context)
    until(lambda: context.progress.snapshot().get("checkpointStep") == 10)
    context.stop.set()
    thread.join(waiting.patience(3.9))

    assert not thread.is_alive()
    assert verdicts[0].outcome is Outcome.INTERRUPTED
    assert verdicts[0].numbers["newestCheckpointStep"] == 10


def test_sigterm_before_the_trainer_started_ends_at_once(prepared: Any) -> None:
    context = prepared.pod("train")
    thread, verdicts = start(context)
    until((context.config.shared / "spec.json").exists)
    context.stop.set()
    end_of(thread)

    assert verdicts[0].outcome is Outcome.INTERRUPTED
    trainer = prepared.start_trainer(context)  # it has missed its SIGTERM, because it was starting
    assert trainer.wait(timeout=PATIENCE) == 0
    assert not (context.config.shared / "done.json").exists()


@pytest.mark.parametrize("outcome", ["diverged", "outOfMemory", "userError", "gpuUnfit"])
def test_the_outcome_in_done_json_decides(prepared: Any, outcome: str) -> None:
    context = prepared.pod("train")
    prepared.start_trainer(context, done=outcome)
    verdict = verdict_of(train, context)

    assert (verdict.outcome, verdict.reason) == (outcome, "ByPlan")
    assert read_result(context.out, prepared.run_keys, "train") is None


def test_outcome_of_a_trainer_that_ends_during_the_fetch_is_used(prepared: Any) -> None:
    context = prepared.pod("train")
    trainer = prepared.start_trainer(context, early="gpuUnfit")
    trainer.wait(timeout=PATIENCE)
    verdict = verdict_of(train, context)

    assert verdict.outcome is Outcome.GPU_UNFIT


def test_success_without_the_final_checkpoint_is_no_success(prepared: Any) -> None:
    context = prepared.pod("train")
    prepared.start_trainer(context, steps=12)
    verdict = verdict_of(train, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.CRASH, "FinalCheckpointMissing")
    assert read_result(context.out, prepared.run_keys, "train") is None


def test_the_trainer_of_an_unprepared_run_ends(run: Any, contract: Check) -> None:
    context = run.pod("train")
    trainer = run.start_trainer(context)
    verdict = verdict_of(train, context)

    assert (verdict.outcome, verdict.reason) == (Outcome.STORAGE_REFUSED, "DatasetLost")
    assert "prepared.json" in verdict.message
    contract("shared-failed", json.loads((context.config.shared / "fetch-failed.json").read_text()))
    assert trainer.wait(timeout=PATIENCE) == 0


def test_frozen_trainer_fails_its_probe_and_is_called_stalled(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "FROZEN_SECONDS", 0.5)
    monkeypatch.setattr(liveness, "PROBE_SECONDS", 0.0)
    context = prepared.pod("train")
    trainer = prepared.start_trainer(context, freeze_at=15)
    thread, verdicts = start(context)
    until(lambda: context.trainer_probe.stall_reason() != "")
    assert "no sign of life" in context.trainer_probe.stall_reason()
    trainer.kill()
    end_of(thread)

    assert (verdicts[0].outcome, verdicts[0].reason) == (Outcome.STALLED, "Stalled")
    assert verdicts[0].message.endswith("step 10. It left no stacks: it was stopped, or hung in the kernel.")
    assert verdicts[0].numbers["newestCheckpointStep"] == 10


def test_trainer_that_hangs_and_saves_on_sigterm_is_stalled(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PROBE_SECONDS", 0.0)
    prepared.document["train"]["stallSeconds"] = 1
    context = prepared.pod("train")
    trainer = prepared.start_trainer(context, hang_at=15)
    thread, verdicts = start(context)
    until(lambda: "no progress" in context.trainer_probe.stall_reason())
    trainer.send_signal(signal.SIGTERM)
    end_of(thread)

    assert verdicts[0].outcome is Outcome.STALLED
    assert verdicts[0].numbers["newestCheckpointStep"] == 15
    key = f"{prepared.prefix}/train/0001-{context.config.pod_uid[:8]}/stacks.txt"
    assert verdicts[0].message.endswith(f" Its stacks are in s3://{context.out.bucket}/{key}.")
    assert b"in train" in context.out.get(key, max_bytes=100_000)


def take_the_key_away(prepared: Any) -> tuple[Any, Any, threading.Thread, list[Verdict]]:
    """Remove a key from the mounted Secret while training runs; returns the pod and the file."""
    context = prepared.pod("train")
    prepared.start_trainer(context, seconds_per_step=0.05)
    thread, verdicts = start(context)
    until(lambda: context.progress.snapshot().get("checkpointStep") == 10)
    key = context.config.credentials_dir / "AWS_SECRET_ACCESS_KEY"
    key.rename(f"{key}.away")
    until(lambda: context.progress.snapshot().get("storage", {}).get("reason") == "CredentialsMissing")
    return context, key, thread, verdicts


def test_a_key_that_comes_back_within_minutes_costs_nothing(prepared: Any) -> None:
    context, key, thread, verdicts = take_the_key_away(prepared)
    assert context.progress.snapshot()["phase"] == "training"
    key.with_name(f"{key.name}.away").rename(key)
    end_of(thread)

    assert verdicts[0].outcome is Outcome.SUCCEEDED
    assert context.progress.snapshot()["storage"] == {"ready": True}


def test_storage_that_refuses_for_long_ends_the_stage_with_its_reason(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "REFUSED_SECONDS", 0.5)
    _, _, thread, verdicts = take_the_key_away(prepared)
    end_of(thread)

    assert (verdicts[0].outcome, verdicts[0].reason) == (Outcome.STORAGE_REFUSED, "CredentialsMissing")
    assert "such calls had worked before in this attempt" in verdicts[0].message


def test_resume_at_the_last_step_needs_no_new_checkpoint(prepared: Any) -> None:
    first = prepared.pod("train")
    prepared.start_trainer(first, done=None)
    assert verdict_of(train, first).outcome is Outcome.CRASH
    second = prepared.pod("train")
    prepared.start_trainer(second)
    verdict = verdict_of(train, second)

    assert verdict.outcome is Outcome.SUCCEEDED
    assert verdict.numbers["resumedFromStep"] == verdict.numbers["checkpointStep"] == 30
    result = read_result(second.out, prepared.run_keys, "train")
    assert result is not None
    assert f"train/0001-{first.config.pod_uid[:8]}/" in result["manifestKey"]
