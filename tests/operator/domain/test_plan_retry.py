"""Number and delay of further attempts, by outcome of the last one; suspend, retry, start deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trfakes.builders import a_run, running
from trfakes.play import Play

LONG = 600  # seconds, longer than every back-off


@pytest.mark.parametrize(
    ("outcome", "attempts"),
    [
        ("userError", 1),
        ("storageRefused", 1),
        ("storageOutage", 6),
        ("diverged", 1),
        ("stalled", 3),
        ("outOfMemory", 2),
        ("diskFull", 1),
        ("interrupted", 6),
        ("crash", 4),
        ("gpuUnfit", 1),
    ],
)
def test_attempts_of_an_outcome_that_repeats(outcome: str, attempts: int) -> None:
    play = Play()
    play.step()
    for number in range(1, attempts + 1):
        assert play.condition("Finished")["status"] == "False"
        play.end_pod(f"tire-prep-{number}", outcome, reason="TheReason", message="The file x.xml is bad.")
        play.step()
        play.step(LONG)
    assert play.created == [f"tire-prep-{number}" for number in range(1, attempts + 1)]
    assert play.status["phase"] == "Failed"
    assert play.condition("Succeeded") | {"lastTransitionTime": "", "message": ""} == {
        "type": "Succeeded",
        "status": "False",
        "reason": "TheReason",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "",
    }
    assert play.condition("Prepared")["status"] == "False"
    assert play.status["message"].startswith("The file x.xml is bad.")
    storage = "False" if outcome.startswith("storage") else None
    assert play.condition("StorageReady").get("status") == storage


def test_back_off_of_crashes_grows_and_is_shown() -> None:
    play = Play()
    play.step()
    waits = []
    for number in (1, 2, 3):
        play.end_pod(f"tire-prep-{number}", "crash")
        requeue = play.step().requeue_after
        assert requeue is not None
        waits.append(requeue)
        assert f"Attempt {number + 1} of prep starts at" in play.status["message"]
        play.step(requeue)
        assert play.created[-1] == f"tire-prep-{number + 1}"
    assert waits == [10, 30, 60]


def test_the_first_interruption_starts_the_next_attempt_at_once() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "interrupted")
    play.step()
    assert play.created == ["tire-prep-1", "tire-prep-2"]


def test_interruptions_are_unlimited_while_the_newest_checkpoint_advances() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    for number in range(1, 21):
        play.end_pod(job, "interrupted", numbers={"checkpointStep": number * 50})
        play.step()
        play.step(LONG)
        job = f"tire-train-{number + 1}"
        assert job in play.created
    assert play.attempts("train")["failures"] == {"interrupted": 1}


def test_interruptions_without_a_verdict_count_the_checkpoints_of_progress() -> None:
    """The pod of a lost node leaves no verdict."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    for number in range(1, 11):
        pod = play.start_pod(job)
        play.progress = {"podUID": pod.uid, "phase": "training", "checkpointStep": number * 50}
        play.step(1)
        play.change_pod(job, gone=True, deletion_at=clock.to_text(play.now))
        play.jobs[job] = replace(play.jobs[job], finished="Failed")
        play.step()
        play.step(LONG)
        job = f"tire-train-{number + 1}"
        assert job in play.created
    assert play.attempts("train")["failures"] == {"interrupted": 1}


def test_interruptions_without_a_new_checkpoint_end_the_run() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    for number in range(1, 7):
        play.end_pod(job, "interrupted", numbers={"checkpointStep": 50})
        play.step()
        play.step(LONG)
        job = f"tire-train-{number + 1}"
    assert play.status["phase"] == "Failed"
    assert play.attempts("train")["number"] == 6


def test_each_outcome_has_a_budget_of_its_own() -> None:
    play = Play()
    play.step()
    for number, outcome in enumerate(["stalled", "outOfMemory", "crash", "stalled"], start=1):
        play.end_pod(f"tire-prep-{number}", outcome)
        play.step()
        play.step(LONG)
    assert play.created[-1] == "tire-prep-5"
    assert play.attempts("prep")["failures"] == {"stalled": 2, "outOfMemory": 1, "crash": 1}


def test_a_raised_retry_opens_a_failed_run_with_fresh_budgets_and_new_numbers() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, "diverged", message="The loss is nan at step 70.", numbers={"checkpointStep": 50})
    play.step()
    assert play.condition("Finished")["status"] == "True"
    play.spec(retry=1)
    play.step(60)
    assert play.condition("Finished")["status"] == "False"
    assert play.condition("Succeeded")["status"] == "Unknown"
    assert "finishedAt" not in play.status
    assert play.status["phase"] == "Training"
    assert [name for name in play.created if "Deploy" not in name and "Service" not in name] == [
        "tire-prep-1",
        "tire-train-1",
        "tire-train-2",
    ]
    play.end_pod("tire-train-2", "diverged")
    play.step()
    assert play.status["phase"] == "Failed"


def ignored(play: Play) -> list[str]:
    return [event.message for event in play.events if event.reason == "RetryIgnored"]


def test_a_retry_raised_while_the_run_goes_on_is_refused_with_a_word() -> None:
    """It was consumed in silence."""
    play = Play()
    play.step()
    play.spec(retry=1)
    play.step(1)
    play.step(1)
    assert ignored(play) == ["spec.retry 1 has no effect. The run has not failed. If it fails, raise spec.retry to 2."]
    play.end_pod("tire-prep-1", "storageRefused")
    play.step(1)
    play.step(1)
    assert play.status["phase"] == "Failed"
    assert play.created == ["tire-prep-1"]
    assert '{"spec":{"retry":2}}' in play.status["message"]


def test_a_retry_raised_just_before_the_failure_opens_the_run() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "storageRefused")
    play.spec(retry=1)
    play.step(1)
    assert (play.status["phase"], ignored(play)) == ("Failed", [])
    play.step(1)
    assert play.created[-1] == "tire-prep-2"


def test_a_retry_of_a_succeeded_run_opens_nothing_and_says_so() -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.EXPORT))
    play.step(1)
    play.spec(retry=1)
    play.step(1)
    play.step(1)
    assert play.status["phase"] == "Succeeded"
    said = "spec.retry 1 has no effect. The run has succeeded: create a new TrainingRun to train again."
    assert ignored(play) == [said]


@pytest.mark.parametrize("spec", [{}, {"suspend": True}])
def test_a_run_that_is_created_with_a_retry_says_that_it_does_not_count(spec: dict[str, bool]) -> None:
    play = Play(a_run().spec(retry=2, **spec))
    play.step()
    play.step(1)
    assert len(ignored(play)) == 1
    assert play.status["retry"] == 2


def test_a_retry_raised_before_the_run_is_accepted_is_kept_until_then() -> None:
    play = Play(a_run().spec(model={"pretrained": {"run": "other"}}))
    play.step()
    play.spec(retry=1)
    play.step(1)
    assert (ignored(play), "retry" in play.status) == ([], False)


def test_a_run_that_is_refused_with_a_retry_fails_once_and_names_the_next() -> None:
    play = Play(a_run().spec(retry=1, train={"image": "evil:1"}))
    play.step()
    play.step(1)
    assert play.reasons() == ["ForbiddenByPolicy"]
    assert play.status["retry"] == 1


def test_a_run_applied_suspended_is_accepted_and_waits() -> None:
    play = Play(a_run().spec(suspend=True))
    play.step()
    assert play.created == []
    assert play.condition("Accepted")["status"] == "True"
    assert play.status["phase"] == "Suspended"
    assert play.status["progress"]["text"] == "Preparing"
    play.spec(suspend=False)
    play.step(1)
    assert play.created == ["tire-prep-1"]


def test_suspend_comes_too_late_for_an_attempt_that_succeeded() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job)
    play.spec(suspend=True)
    play.step(1)
    assert play.condition("Trained")["status"] == "True"
    assert play.status["phase"] == "Suspended"
    assert "tire-export-1" not in play.created


def test_a_suspended_run_in_back_off_starts_nothing() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "crash")
    play.step()
    play.spec(suspend=True)
    play.step(LONG)
    assert play.created == ["tire-prep-1"]
    assert play.status["phase"] == "Suspended"


def test_a_start_deadline_fails_the_run_with_the_cause() -> None:
    play = Play(a_run().spec(startDeadlineSeconds=60))
    play.step()
    play.start_pod("tire-prep-1", phase="Pending", scheduled_at="", containers={}, unschedulable="0/1 nodes: no GPU.")
    play.step(59)
    assert play.condition("Prepared")["reason"] == "PodUnschedulable"
    play.step(1)
    assert play.status["phase"] == "Failed"
    assert play.condition("Succeeded")["reason"] == "StartDeadlineExceeded"
    assert "(60 s): No node can run pod tire-prep-1-x1: 0/1 nodes: no GPU." in play.status["message"]
    assert play.jobs == {}


def test_waiting_for_a_node_is_never_terminal_without_a_deadline() -> None:
    play = Play()
    play.step()
    play.start_pod("tire-prep-1", phase="Pending", scheduled_at="", containers={}, unschedulable="no GPU")
    for _ in range(10):
        play.step(86400)
    assert play.condition("Finished")["status"] == "False"
    assert play.reasons().count("PodUnschedulable") == 1


def test_a_deleted_job_is_an_interruption() -> None:
    play = Play()
    play.step()
    del play.jobs["tire-prep-1"]
    play.step(1)
    assert play.attempts("prep")["lastReason"] == "JobGone"
    assert play.created == ["tire-prep-1", "tire-prep-2"]


@pytest.mark.parametrize("stage", [Stage.PREP, Stage.TRAIN])
def test_jobs_that_vanish_as_soon_as_they_are_created_back_off_and_end_the_run(stage: Stage) -> None:
    play = Play()
    job = play.play_to(stage)
    if stage is Stage.TRAIN:  # a checkpoint of an earlier attempt is no progress of these
        play.end_pod(job, "interrupted", numbers={"checkpointStep": 100})
        play.step(1)
    for _ in range(1000):
        play.jobs.clear()
        play.step(1)
    assert sum(name.startswith(f"tire-{stage}-") for name in play.created) == 6
    assert play.condition("Succeeded")["reason"] == "JobGone"


@pytest.mark.parametrize("ended_at", ["now", "", "x"])
def test_a_job_that_ended_before_its_pod_was_seen_is_not_judged_at_once(ended_at: str) -> None:
    """Jobs and pods are watched by two streams, and either may lag; an unreadable time of the end is no old one."""
    play = Play()
    play.step()
    finished = {"finished": "Complete", "finished_at": clock.to_text(play.now) if ended_at == "now" else ended_at}
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], **finished)  # type: ignore[arg-type]
    play.step(1)
    assert play.created == ["tire-prep-1"]
    play.end_pod("tire-prep-1")
    play.step(1)
    assert play.condition("Prepared")["status"] == "True"


def test_a_job_that_ended_without_any_pod_is_an_interruption() -> None:
    play = Play()
    play.step()
    finished = {"finished": "Failed", "finished_at": clock.to_text(play.now)}
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], **finished)  # type: ignore[arg-type]
    play.step(5)
    assert play.attempts("prep")["lastReason"] == "PodGone"
    assert play.created == ["tire-prep-1", "tire-prep-2"]


def test_a_deleted_pod_is_waited_for_and_its_verdict_counts() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, deletion_at=clock.to_text(play.now))
    play.step(1)
    assert play.created[-1] != "tire-train-2"
    play.end_pod(job, "interrupted", numbers={"checkpointStep": 100})
    play.step(1)
    assert play.status["training"]["checkpointStep"] == 100
    assert play.created[-1] == "tire-train-2"


def test_a_pod_that_outlives_its_grace_period_by_two_minutes_is_given_up() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, deletion_at=clock.to_text(play.now + timedelta(seconds=180)), node="n1")
    assert play.step().requeue_after == 180 + 120 + 1
    assert play.step(180 + 119).requeue_after == 2
    assert job in play.jobs
    play.step(2)
    assert play.attempts("train")["lastReason"] == "PodStuck"
    assert job not in play.jobs
    play.step(1)
    assert play.created[-1] == "tire-train-2"


def test_the_verdict_of_a_pod_counts_though_its_job_was_deleted_before_this_operator_started() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    del play.jobs[job]
    play.step(1)
    assert play.created[-1] != "tire-train-2"
    play.end_pod(job)
    play.step(1)
    assert play.condition("Trained")["status"] == "True"


def test_a_pod_of_an_unknown_job_is_waited_for_but_its_verdict_is_ignored() -> None:
    """Anyone who may create pods can give one the labels of a run: it may still upload, but proves nothing."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.end_pod(job)  # with a verdict of success
    trainer = {"trainer": running()}
    pod = play.pods.pop(job)
    alive = {"phase": "Running", "containers": {**pod.containers, **trainer}}
    play.lingering.append(replace(pod, job_uid="unknown", **alive))
    del play.jobs[job]
    play.step(1)
    assert "waits until pod tire-train-1-x1 has ended" in play.status["message"]
    assert play.condition("Trained")["status"] == "False"
    assert "tire-train-2" not in play.created
    play.lingering[0] = replace(play.lingering[0], phase="Succeeded")
    play.step(1)
    assert "tire-train-2" in play.created
    assert play.condition("Trained")["status"] == "False"


def test_the_pods_of_an_ended_job_are_read_before_it_counts_as_having_left_none() -> None:
    play = Play()
    play.step()
    finished = {"finished": "Failed", "finished_at": clock.to_text(play.now)}
    job = play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], **finished)  # type: ignore[arg-type]
    play.unread_pods = frozenset((job.uid,))
    assert play.step(5).read_pods == [job]
    assert "lastReason" not in play.attempts("prep")
    play.unread_pods = frozenset()
    assert not play.step().read_pods
    assert play.attempts("prep")["lastReason"] == "PodGone"
