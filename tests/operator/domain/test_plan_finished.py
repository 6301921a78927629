"""Decisions about a finished run: expiry, TensorBoard, remaining Jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.api.settings import TensorBoard
from trfakes.builders import SETTINGS, RunBuilder, a_run
from trfakes.play import Play


def ended(builder: RunBuilder, outcome: str = "succeeded") -> Play:
    play = Play(builder)
    play.end_pod(play.play_to(Stage.EXPORT), outcome)
    play.step()
    return play


@pytest.mark.parametrize("outcome", ["succeeded", "userError"])
def test_a_run_is_deleted_after_its_ttl(outcome: str) -> None:
    play = ended(a_run().spec(ttlSecondsAfterFinished=100), outcome)
    assert not play.deleted
    assert play.step(99).requeue_after == 1
    assert not play.deleted
    play.step(1)
    assert play.deleted


def test_a_run_without_ttl_stays() -> None:
    play = ended(a_run())
    play.step(10 * 365 * 86400)
    assert not play.deleted


def test_kubectl_wait_sees_the_end_of_a_run_whose_spec_was_changed_afterwards() -> None:
    """`kubectl wait` ignores conditions of an older generation than the object's."""
    play = ended(a_run())
    play.spec(tensorboard={"enabled": False})
    play.step(1)
    assert play.run.generation == 2
    assert {condition["observedGeneration"] for condition in play.status["conditions"]} == {2}


def test_tensorboard_stays_for_its_ttl_and_says_until_when() -> None:
    play = ended(a_run().spec(tensorboard={"ttlSecondsAfterFinished": 600}))
    assert play.status["tensorboard"] == {
        "serviceName": "tire-tensorboard",
        "url": "http://tire-tensorboard.default.svc:6006/",
        "expiresAt": "2026-01-01T00:10:02Z",
    }
    decision = play.step(600)
    assert [(child.kind, child.name) for child in decision.delete] == [
        ("Deployment", "tire-tensorboard"),
        ("Service", "tire-tensorboard"),
    ]
    assert "tensorboard" not in play.status
    assert not play.step(600).delete


def test_tensorboard_goes_without_the_resolved_document() -> None:
    play = ended(a_run().spec(tensorboard={"ttlSecondsAfterFinished": 600}))
    play.document = None
    play.restart()
    assert len(play.step(600).delete) == 2


def test_tensorboard_is_not_there_before_training_nor_when_switched_off() -> None:
    play = Play(a_run().spec(tensorboard={"enabled": False}))
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    assert play.created == ["tire-prep-1", "tire-train-1"]
    play.spec(tensorboard={"enabled": True})
    play.step(1)
    assert play.created[2:] == ["Deployment tire-tensorboard", "Service tire-tensorboard"]
    play.spec(tensorboard={"enabled": False})
    assert len(play.step(1).delete) == 2


def test_the_installer_gives_tensorboards_a_time_to_live_that_a_run_can_change() -> None:
    settings = replace(SETTINGS, tensorboard=TensorBoard(ttl_seconds=60))
    for asked, expected in (({}, "00:01:02"), ({"ttlSecondsAfterFinished": 600}, "00:10:02")):
        play = Play(a_run().without("tensorboard").spec(tensorboard=asked))
        play.settings = settings
        play.end_pod(play.play_to(Stage.EXPORT))
        play.step()
        assert play.status["tensorboard"]["expiresAt"] == f"2026-01-01T{expected}Z"


def test_the_installer_switches_tensorboards_off_for_all_runs() -> None:
    """Also of runs that ask for one, as all runs of earlier versions do by default, and TensorBoards that exist."""
    play = Play(a_run().spec(tensorboard={"enabled": True}))
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    assert "tensorboard" in play.status
    play.settings = replace(SETTINGS, tensorboard=TensorBoard(enabled=False))
    assert [child.kind for child in play.step(1).delete] == ["Deployment", "Service"]
    assert "tensorboard" not in play.status
    play.step(1)
    assert play.created.count("Deployment tire-tensorboard") == 1


def test_the_job_of_a_failed_attempt_is_kept_for_its_log_and_then_deleted() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "userError")
    play.step()
    assert play.step(1).requeue_after == SETTINGS.failed_jobs_ttl_seconds - 1
    assert "tire-prep-1" in play.jobs
    play.step(SETTINGS.failed_jobs_ttl_seconds)
    assert play.jobs == {}


@pytest.mark.parametrize("stage", list(Stage))
def test_the_job_of_a_finished_stage_is_deleted_only_once(stage: Stage) -> None:
    play = Play()
    job = play.play_to(stage)
    play.end_pod(job)
    decision = play.step(1)
    assert [child.name for child in (*decision.delete, *decision.delete_after_status)].count(job) == 1


def test_a_job_that_is_given_up_is_deleted_only_once() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, deletion_at=clock.to_text(play.now))
    play.jobs[job] = replace(play.jobs[job], finished="Failed", finished_at="2025-01-01T00:00:00Z")
    decision = play.step(SETTINGS.lost_pod_seconds + 1)
    assert [child.name for child in (*decision.delete, *decision.delete_after_status)] == [job]


def test_the_job_of_a_finished_stage_is_deleted_even_if_the_operator_died_before_it() -> None:
    play = Play()
    play.step()
    left_over = play.jobs["tire-prep-1"]
    play.end_pod("tire-prep-1")
    finished = play.jobs["tire-prep-1"]
    play.step()
    assert "tire-prep-1" not in play.jobs
    play.jobs["tire-prep-1"] = finished
    assert finished != left_over
    play.step(1)
    assert "tire-prep-1" not in play.jobs
