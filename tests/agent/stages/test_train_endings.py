"""A training that ends before its last step, and what is known of its evaluations over several attempts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stage_verdict import verdict_of
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Outcome
from trainingrun_agent.stages import train
from trainingrun_agent.storage.results import read_result
from trainingrun_agent.training_settings import Changes
from trainingrun_agent.verdict import Verdict

pytestmark = pytest.mark.contract
Check = Callable[[str, Any], None]
SCORES = {"10": 0.25, "20": 0.75, "30": 0.5}


def attempt(prepared: Any, *, changes: dict[str, Any] | None = None, **plan: Any) -> tuple[StageContext, Verdict]:
    """Run one attempt with a trainer that does what the plan says."""
    context = prepared.pod("train", changes=Changes(**(changes or {})))
    prepared.start_trainer(context, **plan)
    return context, verdict_of(train, context)


def spec_of(context: StageContext) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((context.config.shared / "spec.json").read_text())
    return document


def scores(step: int) -> dict[str, Any]:
    return {"step": step, "mAP": SCORES[str(step)], "ap50": SCORES[str(step)]}


def test_the_best_checkpoint_is_reported_and_evaluations_are_kept(prepared: Any, contract: Check) -> None:
    context, verdict = attempt(prepared, scores=SCORES, peak_memory=5 << 30, seconds_per_step=0.02)
    contract("verdict", verdict.to_json())
    assert verdict.numbers["best"] == scores(20)
    assert verdict.numbers["peakMemoryBytes"]["trainer"] == 5 << 30
    assert "stoppedBy" not in verdict.numbers
    contract("progress", context.progress.snapshot())
    assert context.progress.snapshot()["best"] == scores(20)
    result = read_result(context.out, prepared.run_keys, "train")
    assert result is not None
    contract("stage-result", result)
    assert result["numbers"]["best"] == scores(20)
    uid = context.config.pod_uid[:8]
    stored = json.loads(context.out.get(f"{prepared.prefix}/train/0001-{uid}/evaluations.json", max_bytes=10_000))
    contract("shared-evaluations", stored)
    assert stored["evaluations"] == [scores(10), scores(20), scores(30)]
    last = json.loads(context.out.get(f"{prepared.prefix}/train/0001-{uid}/last.json", max_bytes=10_000))
    assert (last["step"], last["resumedFromStep"]) == (30, 0)
    assert last["trainingSeconds"] == verdict.numbers["trainingSeconds"]


ENDS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "early stopping": (
        {"earlyStopping": {"patience": 1, "minDelta": "0"}},
        {},
        "earlyStopping",
        "Trained 20 of 30 steps: evaluations no longer got better (spec.train.earlyStopping).",
    ),
    "duration": (
        {"maxDurationSeconds": 60},
        {},
        "maxDuration",
        "Trained 20 of 30 steps: spec.train.maxDuration was over.",
    ),
    "finish": ({}, {"finish": True}, "finish", "Trained 20 of 30 steps: spec.finish asked for the end."),
}


@pytest.mark.parametrize(("asked", "changes", "by", "message"), ENDS.values(), ids=ENDS)
def test_an_end_that_was_asked_for_is_a_success(
    prepared: Any, contract: Check, asked: dict[str, Any], changes: dict[str, Any], by: str, message: str
) -> None:
    prepared.document["train"] |= asked
    context, verdict = attempt(
        prepared, changes=changes, scores=SCORES, stop={"step": 20, "by": by}, older=by == "finish"
    )
    contract("verdict", verdict.to_json())
    contract("shared-spec", spec_of(context))
    assert (verdict.outcome, verdict.reason, verdict.message) == (Outcome.SUCCEEDED, "Trained", message)
    result = read_result(context.out, prepared.run_keys, "train")
    assert result is not None
    assert [result["numbers"][name] for name in ("step", "steps", "checkpointStep", "stoppedBy")] == [20, 30, 20, by]
    assert result["numbers"]["best"] == scores(20)


@pytest.mark.parametrize("by", ["earlyStopping", "finish", "maxDuration", "boredom"])
def test_an_end_that_nobody_asked_for_is_no_success(prepared: Any, by: str) -> None:
    context, verdict = attempt(prepared, stop={"step": 20, "by": by})
    assert (verdict.outcome, verdict.reason) == (Outcome.CRASH, "FinalCheckpointMissing")
    assert "stoppedBy" not in verdict.numbers
    assert read_result(context.out, prepared.run_keys, "train") is None


def test_finish_resumes_and_trains_no_further(prepared: Any, contract: Check) -> None:
    first, _ = attempt(prepared, scores=SCORES, die_at=25, seconds_per_step=0.05)
    second, verdict = attempt(prepared, changes={"finish": True})
    spec = spec_of(second)
    contract("shared-spec", spec)
    assert [spec[name] for name in ("finish", "resumedFromStep", "evaluationsSinceBest")] == [True, 20, 0]
    assert spec["best"] == spec["resumedEvaluation"] == scores(20)
    assert not spec["evaluateResumed"]
    assert (verdict.outcome, verdict.numbers["stoppedBy"]) == (Outcome.SUCCEEDED, "finish")
    assert verdict.numbers["checkpointStep"] == 20
    assert verdict.numbers["best"] == scores(20)
    assert f"train/0001-{first.config.pod_uid[:8]}/" in verdict.numbers["checkpointURI"]


def test_finish_without_a_checkpoint_trains_one_step(prepared: Any) -> None:
    _, verdict = attempt(prepared, changes={"finish": True})
    assert (verdict.outcome, verdict.numbers["stoppedBy"]) == (Outcome.SUCCEEDED, "finish")
    assert verdict.numbers["checkpointStep"] == verdict.numbers["step"] == 1


def test_a_trainer_of_an_earlier_release_trains_to_the_end(prepared: Any) -> None:
    _, verdict = attempt(prepared, changes={"finish": True}, older=True)
    assert (verdict.outcome, verdict.message) == (Outcome.SUCCEEDED, "Trained 30 steps.")
    assert not verdict.numbers.keys() & {"best", "stoppedBy"}
    assert "trainer" not in verdict.numbers["peakMemoryBytes"]


def test_the_time_of_all_attempts_counts(prepared: Any) -> None:
    prepared.document["train"]["maxDurationSeconds"] = 1000
    spent = []
    for seconds_per_step in (0.05, 0.2):  # the second attempt makes five steps: enough time to be seen
        context, verdict = attempt(prepared, die_at=25, seconds_per_step=seconds_per_step)
        assert verdict.outcome is Outcome.CRASH
        assert spec_of(context)["maxTrainingSeconds"] == pytest.approx(1000 - sum(spent), abs=0.11)
        spent.append(verdict.numbers["trainingSeconds"])
    assert min(spent) > 0
    third, _ = attempt(prepared)
    assert spec_of(third)["maxTrainingSeconds"] == pytest.approx(1000 - sum(spent), abs=0.21)


def test_the_changes_of_an_attempt_reach_the_trainer(prepared: Any) -> None:
    context, verdict = attempt(prepared, changes={"batch_size": 1, "learning_rate_factor": 0.5}, done="outOfMemory")
    assert verdict.outcome is Outcome.OUT_OF_MEMORY
    assert [spec_of(context)[name] for name in ("batchSize", "learningRateFactor")] == [1, 0.5]
