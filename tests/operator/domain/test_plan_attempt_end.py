"""When an attempt is over although its pod is not, whose Jobs are deleted then, and what waits for them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.domain.assess import CAUSE_SECONDS, SETTLE_SECONDS
from trainingrun.domain.ended_jobs import LINGER_SECONDS
from trainingrun.domain.observe import ContainerView
from trfakes.builders import SETTINGS, a_job, a_run, running, terminated, waiting
from trfakes.fake_cluster import verdict
from trfakes.play import Play

KILLED = {"exit_code": 137, "reason": "OOMKilled"}


def end_agent(play: Play, job: str, outcome: str = "", *, trainer: ContainerView | None = None) -> None:
    """End the agent with a verdict, or killed for memory; a container that the cluster added goes on for ever."""
    stage = play.jobs[job].stage
    if job not in play.pods:
        play.start_pod(job)
    message = json.dumps(verdict(stage, outcome)) if outcome else ""
    agent = replace(terminated(message, at=play.now), **({} if outcome else KILLED))  # type: ignore[arg-type]
    beside = {} if stage is Stage.PREP else {"trainer": trainer or terminated(at=play.now)}
    play.change_pod(job, containers={"agent": agent, **beside, "mesh": running(play.now)})


@pytest.mark.parametrize(
    ("outcome", "settled"),
    [("crash", 5), ("interrupted", CAUSE_SECONDS), ("", 5)],
    ids=["crash", "interrupted", "killed for memory"],
)
def test_a_container_that_never_ends_does_not_hold_up_the_next_attempt(outcome: str, settled: int) -> None:
    play = Play()
    play.step()
    end_agent(play, "tire-prep-1", outcome)
    play.step(settled)
    assert play.attempts("prep")["ended"] == 1
    assert "tire-prep-1" in play.jobs, "its log can be read for a while"
    play.step(LINGER_SECONDS - settled)
    assert "tire-prep-1" not in play.jobs
    play.change_pod("tire-prep-1", deletion_at=clock.to_text(play.now + timedelta(seconds=30)))
    play.step(1)
    assert play.created[-1] == "tire-prep-2", "although the added container ignores SIGTERM"


def test_the_status_says_where_the_logs_of_ended_attempts_are() -> None:
    play = Play()
    play.step()
    play.start_pod("tire-prep-1")
    uri = "s3://detectors/runs/default/tire-11111111/logs/"
    ended = terminated(json.dumps(verdict("prep", "crash") | {"logsURI": uri}), exit_code=1, at=play.now)
    play.change_pod("tire-prep-1", containers={"agent": ended})
    play.step(60)
    assert play.status["logsURI"] == uri


def test_an_agent_killed_for_memory_does_not_leave_the_run_starting_for_good() -> None:
    play = Play()
    play.step()
    end_agent(play, "tire-prep-1")
    play.step(60)
    assert play.attempts("prep")["lastReason"] == "OOMKilled"
    assert play.status["progress"]["text"] != "Preparing: starting"


def test_a_container_whose_node_forgot_when_it_ended_has_ended() -> None:
    play = Play()
    play.step()
    play.start_pod("tire-prep-1")
    lost = ContainerView("terminated", "ContainerStatusUnknown", exit_code=137)
    play.change_pod("tire-prep-1", containers={"agent": lost, "mesh": running()})
    play.step(1)
    assert play.attempts("prep")["lastReason"] == "ContainerStatusUnknown"
    assert "tire-prep-1" not in play.jobs


def test_a_stage_is_done_although_an_added_container_never_ends() -> None:
    play = Play()
    play.step()
    for stage in Stage:
        end_agent(play, f"tire-{stage}-1", "succeeded")
        play.step(SETTLE_SECONDS)
    assert play.status["phase"] == "Succeeded"
    assert play.jobs == {}


def test_the_next_pod_comes_when_the_node_has_room_again() -> None:
    """A pod whose containers have ended holds its room until its phase says so: the next one would find none."""
    play = Play()
    play.step()
    end_agent(play, "tire-prep-1", "succeeded")
    assert play.step(0).requeue_after == SETTLE_SECONDS
    assert play.created == ["tire-prep-1"]
    assert play.condition("Prepared")["reason"] == "Running"
    play.change_pod("tire-prep-1", phase="Succeeded")
    play.step(1)
    assert play.created == ["tire-prep-1", "tire-train-1"]


def test_a_stage_that_succeeds_while_it_is_suspended_is_done() -> None:
    play = Play()
    play.step()
    end_agent(play, "tire-prep-1", "succeeded")
    play.spec(suspend=True)
    play.step(1)
    play.change_pod("tire-prep-1", phase="Succeeded")
    play.step(1)
    assert play.condition("Prepared")["status"] == "True"


def test_a_trainer_that_cannot_be_ended_holds_the_next_attempt_back_until_its_pod_is_lost() -> None:
    """As in uninterruptible sleep: its epoch is over, but it may still hold the GPU."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    end_agent(play, job, "crash", trainer=running())
    play.step(LINGER_SECONDS)
    assert job not in play.jobs
    play.change_pod(job, deletion_at=clock.to_text(play.now + timedelta(seconds=180)))
    play.step(180 + SETTINGS.lost_pod_seconds)
    assert "waits until pod tire-train-1-x1 has ended" in play.status["message"]
    play.step(1)
    assert play.created[-1] == "tire-train-2"


def test_a_failed_run_ends_its_trainer_at_once() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    end_agent(play, job, "diverged", trainer=running())
    play.step(5)
    assert play.status["phase"] == "Failed"
    assert job not in play.jobs


def test_a_failed_run_keeps_the_log_of_an_attempt_whose_pod_has_ended() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, "diverged")
    play.jobs[job] = replace(play.jobs[job], finished="", finished_at="")  # the Job controller is late
    play.step()
    play.step(SETTINGS.failed_jobs_ttl_seconds)
    assert job in play.jobs


def test_a_run_that_failed_for_another_cause_than_its_attempt_frees_the_node() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.step(1)
    ended = a_run().condition("Finished").condition("Succeeded", "False", reason="ChildRefused").build()
    play.run = replace(play.run, status={**play.status, **ended.status})
    play.step(1)
    assert job not in play.jobs


def test_a_job_is_deleted_although_the_operator_died_after_the_status() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.step(1)
    left_over = play.jobs[job]
    play.spec(suspend=True)
    play.step(1)
    play.jobs[job] = left_over
    play.spec(suspend=False)
    decision = play.step(1)
    assert [child.name for child in decision.delete_after_status] == [job]
    assert "waits until pod tire-train-1-x1 has ended" in play.status["message"]
    assert "tire-train-2" not in play.created


def test_no_job_is_deleted_before_the_status_that_explains_it() -> None:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    play.spec(suspend=True)
    decision = play.step(1)
    assert [child.name for child in decision.delete_after_status] == ["tire-train-1"]
    assert decision.delete == []


def suspended_by_another(play: Play, job: str, **pod: object) -> None:
    play.jobs[job] = replace(play.jobs[job], suspended=True)
    play.change_pod(job, **pod)


@pytest.mark.parametrize("gone", [False, True], ids=["pod remains", "pod is gone"])
@pytest.mark.parametrize("outcome", ["interrupted", "crash"])
def test_a_job_that_something_else_suspends_is_never_left_beside_the_next(outcome: str, *, gone: bool) -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, outcome)
    play.jobs[job] = replace(play.jobs[job], finished="", finished_at="")
    suspended_by_another(play, job, gone=gone, deletion_at=clock.to_text(play.now))
    for _ in range(3):
        decision = play.step(600)
    assert decision.requeue_after is None, "the watch of the Job shows when it is resumed"
    assert play.condition("Trained")["reason"] == "JobSuspended"
    assert "Job tire-train-1 was suspended by something else" in play.status["message"]
    assert (play.attempts("train").get("ended", 0), "tire-train-2" in play.created) == (0, False)


def test_a_job_is_shown_as_suspended_beside_a_pod_of_it_that_never_ran_and_does_not_end() -> None:
    """It fell to "Training: starting" when the last pod had gone, and stayed there."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    deletion = clock.to_text(play.now + timedelta(seconds=100))
    play.start_pod(job, phase="Pending", containers={}, deletion_at=deletion)
    play.jobs[job] = replace(play.jobs[job], suspended=True)
    play.step(1)
    assert play.condition("Trained")["reason"] == "JobSuspended"


def test_a_job_that_is_resumed_goes_on_in_the_same_attempt() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, "interrupted")
    play.jobs[job] = replace(play.jobs[job], finished="", finished_at="")
    suspended_by_another(play, job, gone=True)
    play.step(600)
    play.jobs[job] = replace(play.jobs[job], suspended=False, started_at=clock.to_text(play.now))
    play.step(1)
    assert "Job tire-train-1 was created" in play.condition("Trained")["message"]
    del play.pods[job]
    play.start_pod(job)
    play.step(1)
    assert play.condition("Trained")["reason"] == "Running"
    play.end_pod(job)
    play.step(1)
    assert play.condition("Trained")["status"] == "True"
    assert play.attempts("train")["number"] == 1


def test_a_pod_that_is_still_ending_does_not_end_the_attempt_of_a_resumed_job() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, "interrupted")
    play.change_pod(job, deletion_at=clock.to_text(play.now))
    play.jobs[job] = replace(play.jobs[job], finished="", finished_at="")
    play.step(1)
    assert (play.attempts("train").get("ended", 0), play.condition("Trained")["reason"]) == (0, "Running")
    play.jobs[job] = replace(play.jobs[job], ending=True)  # nobody suspended it: the pod was deleted
    play.step(1)
    assert play.attempts("train")["failures"] == {"interrupted": 1}


def test_a_suspended_run_deletes_a_job_that_something_else_suspended() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    suspended_by_another(play, job, gone=True)
    play.step(1)
    play.spec(suspend=True)
    play.step(1)
    assert job not in play.jobs
    play.step(1)
    assert play.status["phase"] == "Suspended"


def test_a_suspended_job_that_an_earlier_operator_left_goes_before_the_next_attempt() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, "crash")
    play.step()
    play.jobs[job] = replace(play.jobs[job], finished="", suspended=True)
    decision = play.step(10)
    assert play.status["message"] == "Attempt 2 of train waits until Job tire-train-1 has ended."
    assert [child.name for child in decision.delete_after_status] == [job]
    play.step(1)
    assert play.created[-1] == "tire-train-2"


def test_a_job_of_an_attempt_that_was_never_made_holds_nothing_back() -> None:
    """Whoever may create Jobs can give one the labels and the owner of an attempt to come."""
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "interrupted")
    play.jobs["tire-prep-9"] = a_job(attempt=9)
    play.step(1)
    assert play.created[-1] == "tire-prep-2"


@pytest.mark.parametrize("seen", [True, False], ids=["operator saw it run", "operator was away"])
def test_a_start_deadline_never_fails_an_attempt_that_ran(*, seen: bool) -> None:
    """Its pod is gone, and the Job controller has not written yet that the Job has ended."""
    play = Play(a_run().spec(startDeadlineSeconds=60))
    job = play.play_to(Stage.TRAIN)
    if seen:
        play.start_pod(job)
        play.step(1)
        del play.pods[job]
    else:
        play.jobs[job] = replace(play.jobs[job], pod_ended=True)
    play.step(7200)
    assert play.status["phase"] == "Training"
    play.jobs[job] = replace(play.jobs[job], finished="Failed", finished_at=clock.to_text(play.now))
    play.step(1)
    assert play.status["phase"] == "Training", "its pod's verdict may be on its way"
    play.step(60)
    assert play.attempts("train")["lastReason"] == "PodGone"


def test_a_start_deadline_counts_from_when_a_suspended_job_may_start() -> None:
    play = Play(a_run().spec(startDeadlineSeconds=60))
    play.step()
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], suspended=True)
    play.step(3600)
    assert play.condition("Prepared")["reason"] == "JobSuspended"
    resumed = clock.to_text(play.now)
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], suspended=False, started_at=resumed)
    play.step(59)
    assert play.status["phase"] == "Preparing"
    play.step(1)
    assert play.condition("Succeeded")["reason"] == "StartDeadlineExceeded"


def test_a_start_deadline_counts_while_the_trainers_image_cannot_be_pulled() -> None:
    play = Play(a_run().spec(startDeadlineSeconds=60))
    job = play.play_to(Stage.TRAIN)
    containers = {"agent": running(), "trainer": waiting("ImagePullBackOff", "not found")}
    play.start_pod(job, phase="Pending", containers=containers)
    play.step(60)
    assert play.condition("Succeeded")["reason"] == "StartDeadlineExceeded"
    assert job not in play.jobs


def test_an_added_container_that_cannot_start_hides_no_work() -> None:
    """The pod's phase is Pending as long as any of its containers has not started."""
    play = Play(a_run().spec(startDeadlineSeconds=60))
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job, phase="Pending")
    play.change_pod(job, containers={**pod.containers, "mesh": waiting("ImagePullBackOff", "not found")})
    play.step(600)
    assert play.condition("Trained")["reason"] == "Running"


def test_an_init_container_that_hangs_is_named_and_the_start_deadline_counts() -> None:
    play = Play(a_run().spec(startDeadlineSeconds=60))
    play.step()
    play.start_pod("tire-prep-1", phase="Pending", containers={}, init_name="mesh-init", init_container=running())
    play.step(30)
    assert play.condition("Prepared")["reason"] == "InitContainer"
    assert "Init container mesh-init of pod tire-prep-1-x1 has not ended" in play.status["message"]
    play.step(30)
    assert play.condition("Succeeded")["reason"] == "StartDeadlineExceeded"


def test_an_attempt_follows_another_one_only_after_pods_were_read() -> None:
    play = Play()
    assert not play.step().read_pods, "nothing can be beside the first attempt"
    play.end_pod("tire-prep-1", "stalled")
    decision = play.step(1)
    assert play.created[-1] == "tire-prep-2"
    assert decision.read_pods


@pytest.mark.parametrize("suspended", [False, True], ids=["", "suspended"])
def test_an_end_without_a_pod_counts_only_after_pods_were_read(*, suspended: bool) -> None:
    play = Play()
    play.step()
    play.start_pod("tire-prep-1")
    play.step(1)
    if suspended:
        play.spec(suspend=True)
        play.step(1)
    del play.pods["tire-prep-1"]
    play.jobs.pop("tire-prep-1", None)
    assert play.step(1).read_pods


def test_pods_are_read_when_a_job_has_ended_and_its_pod_seems_to_go_on() -> None:
    """A watch that lists again says nothing of what was deleted in its gap: the attempt waited for ten minutes."""
    play = Play()
    play.step()
    play.start_pod("tire-prep-1")
    assert not play.step(1).read_pods
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], finished="Failed", finished_at=clock.to_text(play.now))
    assert play.step(1).read_pods


def test_a_start_deadline_fails_an_attempt_only_after_pods_were_read() -> None:
    """In a gap of the watch of pods an attempt had started, and its run failed for not having started."""
    play = Play(a_run().spec(startDeadlineSeconds=30))
    play.step()
    assert not play.step(20).read_pods
    decision = play.step(20)
    assert play.condition("Succeeded")["reason"] == "StartDeadlineExceeded"
    assert decision.read_pods
