"""Simulated runs through all stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainingrun.api.names import Stage
from trfakes.builders import a_run
from trfakes.play import Play


def test_stages_run_in_order_once_each_and_end_succeeded() -> None:
    play = Play()
    export = play.play_to(Stage.EXPORT)
    play.end_pod(export)
    play.step(1)
    assert play.created == [
        "tire-prep-1",
        "tire-train-1",
        "tire-export-1",
        "Deployment tire-tensorboard",
        "Service tire-tensorboard",
    ]
    assert play.status["phase"] == "Succeeded"
    assert {c["type"]: c["status"] for c in play.status["conditions"]} == dict.fromkeys(
        ["Accepted", "StorageReady", "Prepared", "Trained", "Exported", "Succeeded", "Finished"], "True"
    )
    assert play.jobs == {}
    assert play.status["export"]["frozenGraphURI"].endswith("/frozen_inference_graph.pb")
    assert play.status["timings"][1] == {
        "stage": "train",
        "waitingSeconds": 0.0,
        "imageSeconds": 0.0,
        "totalSeconds": 0.0,
        "fetchSeconds": 1.5,
        "workSeconds": 20.2,
        "shipSeconds": 0.5,
    }


def test_a_finished_run_needs_no_action() -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.EXPORT))
    play.step(1)
    status = play.status
    again = play.step(60)
    assert play.status == status
    assert [*again.create, *again.create_optional, *again.delete, *again.delete_after_status] == []
    assert again.draft.events == []


def test_a_stage_whose_condition_is_true_never_runs_again_when_its_job_is_gone() -> None:
    play = Play()
    play.play_to(Stage.TRAIN)
    play.jobs.clear()
    play.pods.clear()
    play.step(5)
    assert "tire-prep-2" not in play.created


def test_a_job_whose_status_patch_was_lost_is_taken_over() -> None:
    play = Play()
    before = play.run
    play.step()
    play.run = before  # the Job was created, but the patch was lost
    play.step(1)
    assert play.created == ["tire-prep-1"]
    assert play.attempts("prep")["number"] == 1


@pytest.mark.parametrize("where", ["waiting", "running", "suspended", "backing off", "waits for another run"])
def test_time_alone_changes_no_status(where: str) -> None:
    """A patch that changes only a time would cause another reconcile, and so on forever."""
    builder = a_run().spec(model={"pretrained": {"run": "other"}}) if where == "waits for another run" else a_run()
    play = Play(builder.spec(suspend=where == "suspended"))
    play.step()
    if where == "running":
        play.start_pod("tire-prep-1")
    if where == "backing off":
        play.end_pod("tire-prep-1", "crash")
        play.step()
        play.step(10)
        play.end_pod("tire-prep-2", "crash")  # the next attempt starts after 30 s
    play.step(20)
    status = play.status
    play.step(2)
    play.step(2)
    assert play.status == status


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        ({}, "Training: starting"),
        ({"phase": "fetching"}, "Training: fetching"),
        ({"phase": "training"}, "Training: beginning"),
        ({"phase": "saving", "step": 75, "steps": 150}, "Training 75/150 (50%)"),
        ({"phase": "training", "done": 1200, "total": 20000, "unit": "steps"}, "Training 1200/20000 (6%)"),
        (
            {"phase": "evaluating", "done": 5, "total": 20, "unit": "images", "step": 75, "steps": 150},
            "Training 75/150 (50%), evaluating 5/20 images (25%)",
        ),
        ({"phase": "inferring", "done": 5, "total": 10, "unit": "images"}, "Training 5/10 images (50%)"),
        (
            {"phase": "fetching", "storage": {"ready": False, "reason": "EndpointUnreachable"}},
            "Training: waiting for the storage (EndpointUnreachable)",
        ),
        (
            {"phase": "saving", "step": 75, "steps": 150, "storage": {"ready": False, "reason": "EndpointUnreachable"}},
            "Training 75/150 (50%), storage: EndpointUnreachable",  # it trains on
        ),
    ],
)
def test_progress_text(progress: dict[str, object], text: str) -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job)
    play.progress = {"podUID": pod.uid, **progress}
    play.step(1)
    assert play.status["progress"]["text"] == text


def test_progress_of_an_earlier_pod_is_not_shown() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.progress = {"podUID": "an earlier pod", "phase": "training", "done": 9, "total": 10, "unit": "steps"}
    play.step(1)
    assert play.status["progress"]["text"] == "Training: starting"


@pytest.mark.parametrize("reason", ["ServerError", "StorageFull", "LimitReached"])
def test_an_outage_reported_by_the_agent_shows_and_ends(reason: str) -> None:
    play = Play()
    pod = play.start_pod(play.play_to(Stage.TRAIN))
    play.progress = {"podUID": pod.uid, "storage": {"ready": False, "reason": reason, "message": "503"}}
    play.step(1)
    assert play.condition("StorageReady") | {"lastTransitionTime": ""} == {
        "type": "StorageReady",
        "status": "False",
        "reason": reason,
        "message": "503",
        "observedGeneration": 1,
        "lastTransitionTime": "",
    }
    assert play.reasons().count(reason) == 1
    play.progress = {"podUID": pod.uid, "storage": {"ready": True}}
    play.step(1)
    assert play.condition("StorageReady")["status"] == "True"


def test_the_address_of_a_checkpoint_goes_with_the_checkpoint() -> None:
    play = Play()
    pod = play.start_pod(play.play_to(Stage.TRAIN))
    of_pod = {"podUID": pod.uid, "phase": "training"}
    play.progress = {**of_pod, "checkpointStep": 50, "checkpointURI": "s3://detectors/50/"}
    play.step(1)
    play.progress = {**of_pod, "checkpointStep": 100}
    play.step(1)
    assert play.status["training"]["checkpointStep"] == 100
    assert "checkpointURI" not in play.status["training"]


@pytest.mark.parametrize(
    ("outcome", "fields", "text"),
    [
        ("storageRefused", {"reason": "BucketNotFound"}, "Preparing: BucketNotFound"),
        ("userError", {"reason": "TooManyBadFiles", "message": "2 bad files" * 50}, "Preparing: TooManyBadFiles"),
    ],
)
def test_a_long_message_stays_out_of_the_table(outcome: str, fields: dict[str, str], text: str) -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.PREP), outcome, **fields)
    play.step(1)
    assert play.status["phase"] == "Failed"
    assert play.status["progress"]["text"] == text


def test_an_unknown_contract_leaves_the_run_as_it_is() -> None:
    play = Play()
    play.step()
    play.accept_with(contractVersion=99)
    decision = play.step(1)
    assert play.condition("Accepted")["reason"] == "UnsupportedContract"
    assert "contract 99" in play.status["message"]
    assert not decision.create
    assert play.condition("Finished")["status"] == "False"


def test_a_run_waits_for_the_run_whose_weights_it_takes() -> None:
    play = Play(a_run().spec(model={"pretrained": {"run": "other"}}))
    play.step()
    assert play.condition("Accepted")["reason"] == "PretrainedRunNotFound"
    assert play.status["phase"] == "Pending"
    other = a_run("other").build()
    play.others["default/other"] = other
    play.step(10)
    assert play.condition("Accepted")["reason"] == "PretrainedRunNotReady"
    done = a_run("other").condition("Succeeded").status(export={"uri": "s3://detectors/runs/x/export/1/"}).build()
    play.others["default/other"] = replace(other, status=done.status)
    decision = play.step(10)
    assert play.condition("Accepted")["status"] == "True"
    assert play.resolved["model"]["pretrained"] == {"bucket": "detectors", "key": "runs/x/export/1/"}
    assert [body["kind"] for body in decision.create] == ["ConfigMap", "Job"]


def test_a_refused_run_ends_failed_and_says_how_to_open_it_again() -> None:
    play = Play(a_run().spec(storage={"credentials": {"secretName": "root-password"}}))
    decision = play.step()
    assert not decision.create
    assert play.condition("Accepted")["reason"] == "ForbiddenByPolicy"
    assert play.condition("Finished")["status"] == "True"
    assert "'root-password' is not allowed here" in play.status["message"]
    assert play.status["message"].endswith(
        'After that, try again: kubectl -n default patch trainingrun tire --type merge -p \'{"spec":{"retry":1}}\''
    )


def test_the_trainer_that_ended_before_it_began_is_given_up() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job)
    ended = replace(pod.containers["trainer"], state="terminated", exit_code=127, reason="Error", message="no python")
    ended = replace(ended, finished_at=pod.scheduled_at)
    play.change_pod(job, containers={**pod.containers, "trainer": ended})
    play.progress = {"podUID": pod.uid, "phase": "waitingForTrainer"}
    play.step(14)
    assert job in play.jobs
    play.step(2)
    assert job not in play.jobs
    assert play.attempts("train")["lastReason"] == "TrainerNeverStarted"
    assert "exit code 127 (its program was not found) before it began to work: no python" in play.events[-1].message
