"""Suspension and resumption: what is saved, from where the run goes on, and that neither counts as a failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trfakes.builders import a_run
from trfakes.play import Play

HINT = " Set spec.suspend to false to continue from what is in the bucket."
NUMBERS = {"step": 53, "steps": 250, "checkpointStep": 53}


def suspending(stage: Stage = Stage.TRAIN) -> tuple[Play, str]:
    """A run that was suspended at step 43 without a checkpoint; the pod of its attempt is ending."""
    play = Play()
    job = play.play_to(stage)
    pod = play.start_pod(job)
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 43, "steps": 250, "done": 43, "total": 250}
    play.step(1)
    play.spec(suspend=True)
    play.step(1)
    assert job not in play.jobs
    play.change_pod(job, deletion_at=clock.to_text(play.now + timedelta(seconds=60)))
    return play, job


def end_and_vanish(play: Play, job: str, outcome: str = "interrupted", **fields: Any) -> None:
    """End the pod, which is removed from the API at once, as after the deletion of its Job."""
    play.end_pod(job, outcome, **fields)
    play.change_pod(job, gone=True)


def test_a_suspended_run_says_which_step_and_checkpoint_are_safe() -> None:
    """The status had the step of some seconds before, and no checkpoint."""
    play, job = suspending()
    end_and_vanish(play, job, numbers=NUMBERS)
    play.step(1)
    message = "Suspended at step 53 of 250, checkpoint 53 saved."
    assert (play.status["phase"], play.status["message"]) == ("Suspended", message + HINT)
    assert play.status["progress"]["text"] == "Training 53/250 (21%)"
    assert {key: play.status["training"].get(key) for key in NUMBERS} == NUMBERS
    assert [event.message for event in play.events if event.reason == "Suspended"] == [message]
    assert "jobUID" not in play.attempts("train")
    assert play.attempts("train").keys() & {"failures", "lastReason", "nextRetryAt"} == set()


def test_the_pod_that_saves_its_checkpoint_is_waited_for() -> None:
    play, _ = suspending()
    for _ in range(3):
        assert play.step(5).requeue_after == 3
        assert play.status["phase"] == "Training"
        assert play.status["message"] == "Suspending: attempt 1 of train saves a checkpoint and ends."
        assert play.status["progress"]["text"] == "Training: suspending"
        assert play.condition("Trained")["reason"] == "Suspending"
    assert "Suspended" not in play.reasons()


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (NUMBERS, "Suspended at step 53 of 250, checkpoint 53 saved."),
        (
            NUMBERS | {"checkpointStep": 40},
            "Suspended at step 53 of 250. The newest checkpoint in the bucket is of step 40: training resumes there.",
        ),
        ({"step": 53, "steps": 250}, "Suspended at step 53 of 250. No checkpoint is in the bucket yet."),
    ],
    ids=["saved", "not uploaded in time", "none"],
)
def test_what_was_saved_is_what_the_verdict_says(numbers: dict[str, int], said: str) -> None:
    play, job = suspending()
    end_and_vanish(play, job, numbers=numbers)
    play.step(1)
    assert play.condition("Trained")["message"] == said + HINT


def test_a_pod_that_left_no_verdict_leaves_what_is_known() -> None:
    play, job = suspending()
    play.run.status["training"]["checkpointStep"] = 40
    play.change_pod(job, gone=True)
    play.step(1)
    said = "Suspended in stage train. The attempt left no verdict; the newest checkpoint that is known is of step 40."
    assert play.status["message"] == said + HINT


def test_a_pod_that_never_ends_is_given_up_like_any_other() -> None:
    play, _ = suspending()
    play.step(60 + 119)
    assert play.status["phase"] == "Training"
    play.step(2)
    assert play.status["phase"] == "Suspended"
    assert "left no verdict; no checkpoint is known" in play.status["message"]


@pytest.mark.parametrize("stage", [Stage.PREP, Stage.EXPORT])
def test_other_stages_name_themselves(stage: Stage) -> None:
    play, job = suspending(stage)
    play.step(1)
    assert play.status["message"] == f"Suspending: attempt 1 of {stage} ends."
    end_and_vanish(play, job)
    play.step(1)
    assert play.status["message"] == f"Suspended in stage {stage}.{HINT}"
    play.spec(suspend=False)
    play.step(1)
    assert play.events[-1].message == f"Created Job tire-{stage}-2."
    assert play.events[-2].message == f"Stage {stage} starts again: spec.suspend is false."


def test_a_suspended_run_says_the_same_as_long_as_it_is_suspended() -> None:
    play, job = suspending()
    end_and_vanish(play, job, numbers=NUMBERS)
    play.step(1)
    del play.pods[job]
    before, events = play.status, len(play.events)
    for restart in (False, True, True):
        if restart:
            play.restart()
        play.step(3600)
        assert play.status == before
    assert len(play.events) == events


def test_an_operator_that_starts_while_the_pod_ends_takes_its_verdict() -> None:
    play, job = suspending()
    play.restart()
    play.step(1)
    end_and_vanish(play, job, numbers=NUMBERS)
    play.step(1)
    assert play.status["message"].startswith("Suspended at step 53 of 250, checkpoint 53 saved.")


def test_an_operator_that_starts_after_the_pod_has_gone_guesses_nothing() -> None:
    play, job = suspending()
    del play.pods[job]
    play.restart()
    play.step(1)
    assert "The attempt left no verdict; no checkpoint is known." in play.status["message"]


def test_a_resumption_says_from_where() -> None:
    play, job = suspending()
    end_and_vanish(play, job, numbers=NUMBERS)
    play.step(1)
    play.spec(suspend=False)
    play.step(1)
    assert play.created[-1] == "tire-train-2"
    resumed = [event for event in play.events if event.reason == "Resumed"]
    assert [(event.kind, event.message) for event in resumed] == [
        ("Normal", "Training resumes from checkpoint 53 of 250 steps.")
    ]
    play.step(1)
    assert play.reasons().count("Resumed") == 1


def test_a_run_that_is_resumed_while_its_pod_ends_takes_the_verdict_too() -> None:
    play, job = suspending()
    play.spec(suspend=False)
    play.step(1)
    assert "waits until pod tire-train-1-x1 has ended" in play.status["message"]
    end_and_vanish(play, job, numbers=NUMBERS)
    play.step(1)
    assert play.created[-1] == "tire-train-2"
    assert play.status["training"]["checkpointStep"] == 53
    assert play.reasons().count("Resumed") == 1
    assert "Suspended" not in play.reasons()


def test_a_resumption_in_a_back_off_is_told() -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.TRAIN), "crash", numbers=NUMBERS)
    play.step(1)
    play.spec(suspend=True)
    play.step(1)
    assert play.status["message"] == "Suspended at step 53 of 250, checkpoint 53 saved." + HINT
    play.spec(suspend=False)
    play.step(1)
    assert play.condition("Trained")["reason"] == "AttemptDelayed"
    assert "Resumed" in play.reasons()


def test_a_training_that_was_done_when_it_was_suspended_is_done() -> None:
    play, job = suspending()
    end_and_vanish(play, job, "succeeded")
    play.step(1)
    assert play.condition("Trained")["status"] == "True"
    assert (play.attempts("train")["lastOutcome"], play.status["phase"]) == ("succeeded", "Suspended")
    assert "tire-export-1" not in play.created


def test_storage_that_failed_during_a_suspension_is_shown_and_no_failure() -> None:
    play, job = suspending()
    end_and_vanish(play, job, "storageOutage", numbers=NUMBERS | {"checkpointStep": 40})
    play.step(1)
    assert play.condition("StorageReady")["status"] == "False"
    assert "failures" not in play.attempts("train")


def test_a_verdict_of_a_forged_pod_says_nothing_of_a_suspension() -> None:
    play, job = suspending()
    forged = replace(play.pods[job], uid="forged", job_uid="somebody else's", name="forged")
    play.end_pod(job, numbers=NUMBERS | {"checkpointStep": 999})
    play.lingering.append(replace(forged, containers=play.pods.pop(job).containers, gone=True))
    play.step(1)
    assert "left no verdict" in play.status["message"]


def test_an_attempt_that_never_ran_has_nothing_to_save() -> None:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN), phase="Pending", containers={}, scheduled_at="")
    play.step(1)
    play.spec(suspend=True)
    play.step(1)
    assert (play.status["phase"], play.status["message"]) == ("Suspended", f"Suspended in stage train.{HINT}")


def test_a_run_that_an_earlier_version_suspended_is_left_as_it_is() -> None:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    play.spec(suspend=True)
    play.step(1)
    (entry,) = [entry for entry in play.run.status["attempts"] if entry["stage"] == "train"]
    del entry["jobUID"]
    (trained,) = [c for c in play.run.status["conditions"] if c["type"] == "Trained"]
    trained.update(reason="Suspended", message=f"Suspended in stage train.{HINT}")
    play.pods.clear()
    play.step(1)
    assert play.status["message"] == f"Suspended in stage train.{HINT}"
    assert "Suspended" not in play.reasons()


def test_a_new_run_that_is_resumed_starts() -> None:
    play = Play(a_run().spec(suspend=True))
    play.step()
    play.spec(suspend=False)
    play.step(1)
    assert "Stage prep starts: spec.suspend is false." in [event.message for event in play.events]
