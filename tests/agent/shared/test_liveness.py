"""When the trainer's liveness probe fails, with a clock that the test controls."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun_agent.errors import Outcome
from trainingrun_agent.shared.liveness import Liveness
from trainingrun_agent.shared.trainer_documents import Done, TrainerProgress
from trainingrun_agent.stages.trainer_failure import failure
from trainingrun_agent.stages.trainer_session import End
from trainingrun_agent.terms import Change, Terms

pytestmark = pytest.mark.contract


def progress_at(phase: str, updated: float, advance: float, step: int = 5) -> TrainerProgress:
    return TrainerProgress(phase=phase, updated=updated, last_advance=advance, step=step, steps=30)


@pytest.fixture
def liveness(fake_clock: Any) -> Liveness:
    return Liveness(stall_seconds=120, clock=fake_clock)


def run_trainer(liveness: Liveness, clock: Any, seconds: int, *, phase: str, advancing: bool) -> None:
    """Simulate a trainer that writes its progress every 10 seconds."""
    begin = clock.monotonic()
    for _ in range(0, seconds, 10):
        clock.sleep(10)
        liveness.observe(progress_at(phase, clock.monotonic(), clock.monotonic() if advancing else begin))


def test_a_trainer_that_waits_for_the_fetch_is_not_stalled(liveness: Liveness, fake_clock: Any) -> None:
    run_trainer(liveness, fake_clock, 7200, phase="waiting", advancing=False)
    assert liveness.stall_reason() == ""


@pytest.mark.parametrize(
    ("phase", "advancing", "seconds", "alive"),
    [
        pytest.param("training", True, 3600, True, id="steps"),
        pytest.param("training", False, 110, True, id="slow step within the limit"),
        pytest.param("training", False, 140, False, id="no step"),
        pytest.param("evaluating", False, 140, False, id="stuck evaluation"),
        pytest.param("saving", True, 3600, True, id="save that moves"),
        pytest.param("building", False, 590, True, id="a large graph"),
        pytest.param("building", False, 640, False, id="a graph that is never finished"),
    ],
)
def test_stall_by_phase(
    liveness: Liveness, fake_clock: Any, *, phase: str, advancing: bool, seconds: int, alive: bool
) -> None:
    liveness.work_given()
    run_trainer(liveness, fake_clock, seconds, phase=phase, advancing=advancing)
    assert (liveness.stall_reason() == "") is alive


def test_stopped_process_is_noticed_after_a_minute(liveness: Liveness, fake_clock: Any) -> None:
    liveness.work_given()
    run_trainer(liveness, fake_clock, 30, phase="training", advancing=True)
    fake_clock.sleep(59)
    assert liveness.stall_reason() == ""
    fake_clock.sleep(2)
    assert "no sign of life for 60 s" in liveness.stall_reason()


def test_first_sign_may_take_as_long_as_an_import(liveness: Liveness, fake_clock: Any) -> None:
    liveness.work_given()
    fake_clock.sleep(599)
    assert liveness.stall_reason() == ""
    fake_clock.sleep(2)
    assert "no sign of life" in liveness.stall_reason()


def move_on(liveness: Liveness, clock: Any) -> None:
    liveness.observe(progress_at("training", clock.monotonic() + 1, clock.monotonic()))
    assert liveness.stall_reason() == ""


def test_a_stall_that_the_kubelet_acted_on_counts_although_the_trainer_saves_a_checkpoint(
    liveness: Liveness, fake_clock: Any
) -> None:
    liveness.work_given()
    run_trainer(liveness, fake_clock, 180, phase="training", advancing=False)
    move_on(liveness, fake_clock)
    fake_clock.sleep(20)
    assert liveness.reason_of_end() == "the trainer made no progress for 120 s while training"


def test_a_pause_of_61_seconds_makes_no_later_end_stalled(liveness: Liveness, fake_clock: Any) -> None:
    liveness.work_given()
    run_trainer(liveness, fake_clock, 30, phase="training", advancing=True)
    fake_clock.sleep(61)
    assert "no sign of life" in liveness.stall_reason()
    move_on(liveness, fake_clock)
    assert liveness.reason_of_end() == ""


def test_complaints_that_passed_do_not_add_up(liveness: Liveness, fake_clock: Any) -> None:
    liveness.work_given()
    for _ in range(5):
        run_trainer(liveness, fake_clock, 140, phase="training", advancing=False)
        move_on(liveness, fake_clock)
    assert liveness.reason_of_end() == ""


def test_a_trainer_that_lives_on_after_a_long_stall_was_not_ended_for_it(liveness: Liveness, fake_clock: Any) -> None:
    liveness.work_given()
    run_trainer(liveness, fake_clock, 180, phase="training", advancing=False)
    move_on(liveness, fake_clock)
    run_trainer(liveness, fake_clock, 60, phase="training", advancing=True)
    assert liveness.reason_of_end() == ""


def done(outcome: Outcome) -> Done:
    return Done(outcome, "Reason", "what happened", "", 5, None, None, None, None)


@pytest.mark.parametrize(
    ("seen", "outcome", "words"),
    [
        pytest.param({"done": done(Outcome.SUCCEEDED)}, None, "", id="succeeded"),
        pytest.param({"done": done(Outcome.SUCCEEDED), "stopped": True}, None, "", id="succeeded just before the end"),
        pytest.param({"done": done(Outcome.DIVERGED)}, Outcome.DIVERGED, "what happened", id="its done.json"),
        pytest.param(
            {"done": done(Outcome.DIVERGED), "stall_reason": "x"}, Outcome.DIVERGED, "", id="done.json before stall"
        ),
        pytest.param({"stopped": True}, Outcome.INTERRUPTED, "step 5 of 30", id="SIGTERM"),
        pytest.param({"stopped": True, "stall_reason": "x"}, Outcome.INTERRUPTED, "", id="SIGTERM after a stall"),
        pytest.param({"stall_reason": "it hung"}, Outcome.STALLED, "it hung", id="stalled"),
        pytest.param(
            {"done": done(Outcome.INTERRUPTED), "stall_reason": "it hung"}, Outcome.STALLED, "it hung", id="probe"
        ),
        pytest.param(
            {"done": done(Outcome.INTERRUPTED)}, Outcome.INTERRUPTED, "what happened", id="only the trainer got SIGTERM"
        ),
        pytest.param({}, Outcome.CRASH, "without done.json at step 5 of 30 while training", id="crash"),
        pytest.param(
            {"stopped": True, "last": progress_at("done", 1, 1, step=30), "doing": "evaluating"},
            Outcome.INTERRUPTED,
            "SIGTERM arrived at step 30 of 30 during an evaluation.",
            id="SIGTERM, and the trainer reported its end",
        ),
        pytest.param({"last": None}, Outcome.CRASH, "before its first sign of life", id="crash at once"),
    ],
)
def test_every_end_of_the_trainer_has_its_outcome(seen: dict[str, Any], outcome: Outcome | None, words: str) -> None:
    facts: dict[str, Any] = {
        "gone": True,
        "stopped": False,
        "done": None,
        "stall_reason": "",
        "last": progress_at("training", 1, 1),
    }
    error = failure(End(**facts | seen), container="trainer", batch_size=24)
    assert (error.outcome if error else None) == outcome
    assert words in (error.message if error else "")


def test_no_smaller_batch_is_suggested_for_a_batch_of_one_image() -> None:
    oom = Done(Outcome.OUT_OF_MEMORY, "DeviceOutOfMemory", "OOM", "", 5, None, None, None, None)
    error = failure(
        End(gone=True, stopped=False, done=oom, stall_reason="", last=None), container="trainer", batch_size=1
    )
    assert error is not None
    terms = Terms(values={"train.batchSize": 1, "model.network": "faster_rcnn_resnet101"})
    assert "spec.train.batchSize" not in error.hint_in(terms)
    assert error.change(terms) == Change("model.network", "faster_rcnn_resnet101")


@pytest.mark.parametrize(("lowered", "offered"), [(False, True), (True, False)], ids=["first", "again"])
def test_a_rollback_is_offered_to_trainings_that_had_none(lowered: bool, offered: bool) -> None:
    nan = Done(Outcome.DIVERGED, "Diverged", "NaN", "", 5, None, None, None, None)
    error = failure(
        End(gone=True, stopped=False, done=nan, stall_reason="", last=None),
        container="trainer",
        batch_size=8,
        lowered=lowered,
    )
    assert error is not None
    assert ("spec.train.onDivergence: Rollback" in error.hint_in(Terms())) is offered
