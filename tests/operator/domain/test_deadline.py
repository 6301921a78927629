"""spec.activeDeadlineSeconds counts as in a Job: from the acceptance, the last resumption or the last retry."""

from __future__ import annotations

from dataclasses import replace

from trainingrun.api.names import Stage
from trfakes.builders import SETTINGS, a_run
from trfakes.play import Play
from trfakes.second_runs import SAVED, too_late, training, vanish


def test_the_run_fails_and_its_attempt_still_saves_a_checkpoint() -> None:
    play = too_late()
    assert play.status["phase"] == "Failed"
    assert play.condition("Succeeded")["reason"] == "ActiveDeadlineExceeded"
    assert play.status["message"].startswith(
        "The run was active for longer than spec.activeDeadlineSeconds (60 s) in stage train. With a retry"
    )
    assert play.status["message"].endswith('\'{"spec":{"retry":1}}\'')
    assert "tire-train-1" not in play.jobs
    assert play.attempts("train")["history"][-1]["reason"] == "ActiveDeadlineExceeded"


def test_the_operator_looks_at_the_deadline_by_itself() -> None:
    play = Play(a_run().spec(activeDeadlineSeconds=100))
    play.step()
    assert play.step(40).requeue_after is not None
    play.start_pod("tire-prep-1")
    assert play.step(1).requeue_after == 59
    assert play.status["activeSince"] == "2026-01-01T00:00:00Z"


def test_a_run_without_an_attempt_fails_too() -> None:
    play = Play(a_run().spec(activeDeadlineSeconds=60))
    play.end_pod(play.play_to(Stage.TRAIN), "crash")
    play.step(59)
    assert "nextRetryAt" in play.attempts("train")
    play.step(2)
    assert play.condition("Succeeded")["reason"] == "ActiveDeadlineExceeded"
    assert play.attempts("train")["lastReason"] == "Crash"


def test_an_attempt_that_has_succeeded_at_the_deadline_has_succeeded() -> None:
    play = training(a_run().spec(activeDeadlineSeconds=60))
    play.end_pod("tire-train-1")
    play.step(60)
    assert play.condition("Trained")["status"] == "True"
    assert play.condition("Exported")["reason"] == "ActiveDeadlineExceeded"


def test_the_time_starts_again_when_a_suspended_run_is_resumed() -> None:
    play = training(a_run().spec(activeDeadlineSeconds=60))
    play.spec(suspend=True)
    play.step(30)
    vanish(play, "tire-train-1", numbers=SAVED)
    assert "activeSince" not in play.status
    play.step(3600)
    assert play.status["phase"] == "Suspended"
    play.spec(suspend=False)
    play.step(1)
    play.start_pod("tire-train-2")
    play.step(59)
    assert play.condition("Trained")["reason"] == "Running"
    play.step(1)
    assert play.status["phase"] == "Failed"


def test_the_time_starts_again_with_a_retry() -> None:
    play = too_late()
    play.step(600)
    vanish(play, "tire-train-1", numbers=SAVED)
    play.spec(retry=1)
    play.step(1)
    assert play.created[-1] == "tire-train-2"
    play.step(59)
    assert play.status["phase"] == "Training"
    play.step(1)
    assert play.status["phase"] == "Failed"


def test_a_run_without_a_deadline_has_no_time() -> None:
    assert "activeSince" not in training().status


def blocked(seconds: int) -> Play:
    """A run whose ConfigMap is gone, and would be another one today, for so long."""
    play = Play(a_run().spec(activeDeadlineSeconds=60))
    play.end_pod(play.play_to(Stage.TRAIN), "crash")
    play.step(1)
    play.document = None
    play.restart(replace(SETTINGS, agent_image="agent:2"))
    play.step(seconds)
    return play


def test_a_run_that_cannot_go_on_is_not_looked_at_more_often_after_its_deadline() -> None:
    play = blocked(600)
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    assert [play.step(seconds).requeue_after for seconds in (0, 60)] == [5, 60]


def test_the_time_starts_again_when_a_run_is_accepted_anew() -> None:
    play = blocked(600)
    play.spec(retry=1)
    play.step(1)
    assert play.condition("Accepted")["status"] == "True"
    assert "tire-train-2" in play.created
