"""What a restart of the operator does to the status: nothing, until it knows better; and what an attempt takes back."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api.names import Stage
from trfakes.play import Play

TRAINING = {"phase": "training", "step": 75, "steps": 150, "done": 75, "total": 150, "unit": "steps", "etaSeconds": 9}


def training(**report: Any) -> Play:
    play = Play()
    pod = play.start_pod(play.play_to(Stage.TRAIN))
    play.progress = {"podUID": pod.uid, **TRAINING, **report}
    play.step(1)
    return play


def test_progress_stays_until_the_agent_answers_the_new_operator() -> None:
    """It fell to "Training: starting" for up to five seconds after every restart."""
    play = training()
    before, report = play.status, play.progress
    play.restart()
    play.step(1)
    assert play.status == before
    play.progress = {**report, "done": 80, "step": 80}
    play.step(1)
    assert play.status["progress"]["text"] == "Training 80/150 (53%)"


def test_progress_does_not_fall_to_an_older_log() -> None:
    """The agent was out of reach after the restart: its log was up to a minute behind what it had answered."""
    play = training(source="agent", updated="2026-01-01T00:01:00Z")
    before, report = play.status, play.progress
    play.restart()
    play.progress = {**report, "source": "log", "done": 60, "step": 60, "updated": "2026-01-01T00:00:30Z"}
    play.step(1)
    assert play.status == before
    play.progress = {**report, "source": "log", "done": 80, "step": 80, "updated": "2026-01-01T00:01:30Z"}
    play.step(1)
    assert play.status["progress"]["text"] == "Training 80/150 (53%)"


def test_an_attempt_that_has_just_started_begins_anew() -> None:
    play = training()
    play.end_pod("tire-train-1", "interrupted")
    play.step(1)
    play.restart()
    play.start_pod("tire-train-2")
    play.step(1)
    assert play.status["progress"]["text"] == "Training: starting"


def test_a_pod_that_started_while_no_operator_ran_is_shown_as_starting() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, phase="Pending", containers={}, scheduled_at="")
    play.step(10)
    assert "waiting" in play.status["progress"]["text"]
    play.restart()
    play.start_pod(job)
    play.step(1)
    assert play.status["progress"]["text"] == "Training: starting"


REFUSED = {"ready": False, "reason": "InvalidCredentials", "message": "403"}


def after_refused_credentials() -> Play:
    """A training that failed because of its credentials, and was opened again with the right ones."""
    play = training()
    play.end_pod("tire-train-1", "storageRefused", reason="InvalidCredentials")
    play.step(1)
    assert play.condition("StorageReady")["status"] == "False"
    play.spec(retry=1)
    play.step(60)
    return play


def test_storage_that_failed_an_attempt_before_is_not_shown_as_failing_the_next() -> None:
    """InvalidCredentials stayed while the next attempt read and uploaded."""
    play = after_refused_credentials()
    ready = play.condition("StorageReady")
    assert (ready["status"], ready["reason"]) == ("Unknown", "NotReported")
    assert ready["message"] == "Attempt 2 of train has not reported on the storage yet."
    pod = play.start_pod("tire-train-2")
    play.progress = {"podUID": pod.uid, **TRAINING, "storage": {"ready": True}}
    play.step(1)
    assert play.condition("StorageReady")["status"] == "True"


@pytest.mark.parametrize("ready", [True, False])
def test_what_the_attempt_reports_of_the_storage_stays_after_a_restart(*, ready: bool) -> None:
    play = after_refused_credentials()
    pod = play.start_pod("tire-train-2")
    report = {"podUID": pod.uid, **TRAINING, "storage": {"ready": True} if ready else REFUSED}
    play.progress = report
    play.step(5)
    before = play.status
    play.restart()
    play.step(5)
    assert play.status == before
    play.progress = report
    play.step(1)
    assert play.status == before


def test_storage_of_an_attempt_before_is_taken_back_though_an_older_operator_left_it() -> None:
    """And though the agent is one that does not report on the storage while it trains."""
    play = after_refused_credentials()
    (ready,) = [c for c in play.run.status["conditions"] if c["type"] == "StorageReady"]
    ready.update(status="False", reason="InvalidCredentials", lastTransitionTime="2026-01-01T00:00:01Z")
    pod = play.start_pod("tire-train-2")
    play.progress = {"podUID": pod.uid, **TRAINING}
    play.step(5)
    assert play.condition("StorageReady")["reason"] == "NotReported"


def test_storage_that_works_is_not_doubted_with_each_attempt() -> None:
    play = training(storage={"ready": True})
    before = play.condition("StorageReady")
    play.end_pod("tire-train-1", "crash")
    play.step(1)
    play.step(60)
    assert play.created[-1] == "tire-train-2"
    assert play.condition("StorageReady") == before


@pytest.mark.parametrize("outcome", ["crash", "interrupted"])
def test_the_condition_of_a_stage_says_no_longer_that_an_attempt_runs_when_it_has_ended(outcome: str) -> None:
    """It said "The attempt is running." during the whole back-off."""
    play = training()
    play.end_pod("tire-train-1", outcome)
    play.step(1)
    trained = play.condition("Trained")
    assert trained["reason"] == ("AttemptDelayed" if outcome == "crash" else "AttemptStarted")
    assert "running" not in trained["message"]
