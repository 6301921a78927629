"""spec.finish: training ends early, whenever it is set, and one attempt at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS
from trfakes.play import Play
from trfakes.second_runs import BEST, SAVED, finishing, stopped_by, training, vanish

FINISHED = {**NUMBERS["train"], "step": 80, "checkpointStep": 80, "best": BEST, "stoppedBy": "finish"}


def changes_of(play: Play, job: str) -> dict[str, Any]:
    """What the agent of a Job is told."""
    (agent, *_) = play.specs[f"uid-{job}"]["template"]["spec"]["containers"]
    values = {variable["name"]: variable.get("value") for variable in agent["env"]}
    return dict(json.loads(values.get("TRAININGRUN_CHANGES") or "{}"))


def messages(play: Play, reason: str) -> list[str]:
    return [event.message for event in play.events if event.reason == reason]


def test_the_attempt_saves_a_checkpoint_and_the_next_one_ends_training() -> None:
    play = finishing()
    assert "tire-train-1" not in play.jobs
    assert play.status["message"] == "Attempt 1 of train saves a checkpoint and ends; the next one evaluates it."
    assert play.status["progress"]["text"] == "Training: finishing"
    assert play.condition("Trained")["reason"] == "Finishing"
    assert "tire-train-2" not in play.created
    vanish(play, "tire-train-1", numbers=SAVED)
    assert play.created[-1] == "tire-train-2"
    assert changes_of(play, "tire-train-2") == {"finish": True}
    assert play.attempts("train")["changes"] == {"finish": True}
    assert play.attempts("train")["history"][-1]["outcome"] == "suspended"
    assert play.attempts("train")["history"][-1]["reason"] == "Finishing"
    assert "failures" not in play.attempts("train")
    play.end_pod("tire-train-2", numbers=FINISHED)
    play.step(1)
    trained = play.condition("Trained")
    assert (trained["status"], trained["reason"]) == ("True", "FinishedEarly")
    assert trained["message"] == (
        "Training ended at step 80 of 150 because spec.finish is true. Best: mAP 0.612, AP@.5 0.896 at step 90."
    )
    play.end_pod("tire-export-1")
    play.step(1)
    assert (play.condition("Succeeded")["status"], play.condition("Succeeded")["reason"]) == ("True", "FinishedEarly")
    assert messages(play, "Finishing") == [
        "spec.finish is true: training ends now. What is trained until then is evaluated and exported."
    ]
    assert "Resumed" not in play.reasons()
    assert "FinishIgnored" not in play.reasons()


def test_it_is_answered_once_and_survives_restarts() -> None:
    play = finishing()
    play.change_pod("tire-train-1", deletion_at=clock.to_text(play.now + timedelta(seconds=60)))
    play.step(1)
    before = play.status
    for _ in range(3):
        play.restart()
        play.step(1)
        assert play.status == before
    assert len(messages(play, "Finishing")) == 1
    assert play.created.count("tire-train-2") == 0


def test_a_status_that_was_lost_after_the_creation_makes_no_second_attempt() -> None:
    play = finishing()
    play.end_pod("tire-train-1", "interrupted", numbers=SAVED)
    play.change_pod("tire-train-1", gone=True)
    before = play.run
    play.step(1)
    play.run = before  # the patch did not arrive
    play.restart()
    play.step(1)
    assert play.created[-1] == "tire-train-2"
    assert play.attempts("train")["changes"] == {"finish": True}


@pytest.mark.parametrize("asked", [True, False])
def test_a_job_that_was_created_before_the_field_changed_is_the_runs_own(*, asked: bool) -> None:
    """And what is recorded is what its agent was told; it then makes way for another one."""
    play = Play(a_run().spec(finish=asked))
    play.step()
    play.end_pod("tire-prep-1")
    before = play.run
    play.step(1)
    assert play.created[-1] == "tire-train-1"
    play.run = before
    play.spec(finish=not asked)
    play.restart()
    play.start_pod("tire-train-1")
    play.step(1)
    assert play.attempts("train")["number"] == 1
    assert play.condition("Trained")["reason"] == "Finishing"
    vanish(play, "tire-train-1", numbers=SAVED)
    assert play.created[-1] == "tire-train-2"
    assert changes_of(play, "tire-train-2") == ({} if asked else {"finish": True})


def test_a_job_with_other_changes_is_not_the_runs_own() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1")
    before = play.run
    play.step(1)
    play.run = before
    for text in ('{"batchSize": 1}', '{"finish": 1, "x": 2}', "{", "[]", "x" * 300):
        forged = json.loads(json.dumps(play.specs["uid-tire-train-1"]))
        forged["template"]["spec"]["containers"][0]["env"].append({"name": "TRAININGRUN_CHANGES", "value": text})
        play.jobs["tire-train-1"] = replace(play.jobs["tire-train-1"], uid="forged")
        play.specs["forged"] = forged
        with pytest.raises(AssertionError, match="created twice"):
            play.step(1)


def test_before_training_starts_it_is_kept_until_then() -> None:
    play = Play()
    play.step()
    play.start_pod("tire-prep-1")
    play.spec(finish=True)
    play.step(1)
    assert messages(play, "Finishing") == [
        "spec.finish is true: training ends after its first step, with a model of little use."
    ]
    assert "tire-prep-1" in play.jobs
    play.end_pod("tire-prep-1")
    play.step(1)
    assert play.created[-1] == "tire-train-1"
    assert changes_of(play, "tire-train-1") == {"finish": True}
    play.start_pod("tire-train-1")
    play.step(1)
    assert play.condition("Trained")["reason"] == "Running"
    assert "tire-train-1" in play.jobs


def test_an_attempt_that_waits_for_a_node_is_replaced() -> None:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN), phase="Pending", containers={}, scheduled_at="")
    play.step(1)
    play.spec(finish=True)
    play.step(1)
    assert play.condition("Trained")["message"].startswith("Attempt 1 of train was ended before it began to train")
    vanish(play, "tire-train-1")
    assert changes_of(play, "tire-train-2") == {"finish": True}


def test_a_suspended_run_finishes_when_it_is_resumed() -> None:
    play = training()
    play.spec(suspend=True)
    play.step(1)
    vanish(play, "tire-train-1", numbers=SAVED)
    play.spec(finish=True)
    play.step(1)
    assert play.status["phase"] == "Suspended"
    assert messages(play, "Finishing")[0].startswith(
        "spec.finish is true: training ends as soon as the run is resumed."
    )
    play.spec(suspend=False)
    play.step(1)
    assert changes_of(play, "tire-train-2") == {"finish": True}


def test_a_run_that_is_suspended_while_it_finishes_says_what_is_saved() -> None:
    play = finishing()
    play.spec(suspend=True)
    play.step(1)
    assert play.status["progress"]["text"] == "Training: suspending"
    vanish(play, "tire-train-1", numbers=SAVED)
    assert play.status["message"].startswith("Suspended at step 80 of 150, checkpoint 80 saved.")
    assert "tire-train-2" not in play.created


def test_what_is_taken_back_before_it_took_effect_trains_on() -> None:
    play = finishing()
    play.spec(finish=False)
    play.step(1)
    assert play.status["progress"]["text"] == "Training: going on"
    vanish(play, "tire-train-1", numbers=SAVED)
    assert changes_of(play, "tire-train-2") == {}
    assert "changes" not in play.attempts("train")
    assert messages(play, "FinishTakenBack") == ["spec.finish is false again: training goes on to its last step."]
    assert "finish" not in play.status


def test_an_attempt_that_ends_training_makes_way_when_that_is_taken_back() -> None:
    play = finishing()
    vanish(play, "tire-train-1", numbers=SAVED)
    play.start_pod("tire-train-2")
    play.step(1)
    play.spec(finish=False)
    play.step(1)
    assert play.condition("Trained")["message"] == (
        "Attempt 2 of train saves a checkpoint and ends; the next one trains on, because spec.finish is false."
    )
    vanish(play, "tire-train-2", numbers=SAVED)
    assert changes_of(play, "tire-train-3") == {}


def test_an_attempt_that_fails_while_it_ends_training_is_followed_by_one_that_does() -> None:
    play = finishing()
    vanish(play, "tire-train-1", numbers=SAVED)
    play.end_pod("tire-train-2", "crash")
    play.step(1)
    play.step(60)
    assert play.created[-1] == "tire-train-3"
    assert changes_of(play, "tire-train-3") == {"finish": True}


def test_training_that_was_done_when_the_field_was_set_is_done() -> None:
    play = training()
    play.end_pod("tire-train-1")
    play.spec(finish=True)
    play.step(1)
    assert play.condition("Trained")["reason"] == "Completed"
    assert messages(play, "FinishIgnored") == ["spec.finish has no effect: training has ended already."]


def test_training_that_was_done_before_the_signal_arrived_is_done() -> None:
    play = finishing()
    vanish(play, "tire-train-1", "succeeded")
    assert play.condition("Trained")["status"] == "True"
    assert play.created[-1] == "tire-export-1"


def test_a_run_that_has_succeeded_says_once_that_it_has_no_effect() -> None:
    play = stopped_by("earlyStopping")
    play.spec(finish=True)
    for _ in range(3):
        play.step(1)
    assert messages(play, "FinishIgnored") == ["spec.finish has no effect: training has ended already."]
    play.spec(finish=False)
    play.step(1)
    assert "FinishTakenBack" not in play.reasons()


def test_a_failed_run_finishes_with_its_next_retry() -> None:
    play = training()
    play.end_pod("tire-train-1", "diverged", numbers=SAVED)
    play.step(1)
    assert play.status["phase"] == "Failed"
    play.spec(finish=True)
    play.step(1)
    (message,) = messages(play, "Finishing")
    assert message == (
        "spec.finish is true, and the run has failed. Raise spec.retry to 1 as well: training then ends at once. What "
        "is trained until then is evaluated and exported."
    )
    play.spec(retry=1)
    play.step(1)
    assert changes_of(play, "tire-train-2") == {"finish": True}


def test_finish_together_with_retry() -> None:
    play = training()
    play.end_pod("tire-train-1", "diverged", numbers=SAVED)
    play.step(1)
    play.spec(finish=True, retry=1)
    play.step(1)
    assert play.created[-1] == "tire-train-2"
    assert changes_of(play, "tire-train-2") == {"finish": True}
    assert [reason for reason in play.reasons() if reason in {"Retry", "RetryIgnored", "FinishIgnored"}] == ["Retry"]


def test_the_run_of_an_earlier_version_trains_on_and_says_so() -> None:
    """Its agent does not know what to do."""
    play = training()
    play.accept_with(export={"evalImages": 500})
    play.spec(finish=True)
    play.step(1)
    play.step(1)
    assert "tire-train-1" in play.jobs
    assert messages(play, "FinishIgnored")[0].startswith(
        "spec.finish has no effect: the run was accepted by an earlier"
    )
    assert "finish" in play.status


def test_other_stages_are_left_alone() -> None:
    play = Play()
    play.start_pod(play.play_to(Stage.EXPORT))
    play.spec(finish=True)
    play.step(1)
    assert "tire-export-1" in play.jobs
    assert "FinishIgnored" in play.reasons()
