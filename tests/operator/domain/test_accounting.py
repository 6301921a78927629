"""What attempts cost and what the status keeps of them: each counts once, also when little is known of its end."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.api.settings import RunPods
from trainingrun.domain import history
from trainingrun.domain.accounting import SUSPENDED, Ending, close_attempt
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import ContainerView, Observed
from trainingrun.domain.stage import StageContext
from trainingrun.domain.verdicts import parse_verdict
from trfakes.builders import SETTINGS, a_run
from trfakes.fake_cluster import verdict
from trfakes.play import Play
from trfakes.schema import crd_part, errors

LONG = 600  # longer than any back-off


def play_with(gpus: int = 1) -> Play:
    play = Play(a_run().spec(train={"gpus": gpus}))
    play.play_to(Stage.TRAIN)
    return play


def train(play: Play, outcome: str, *, seconds: int = 100, attempt: int = 1, **numbers: Any) -> None:
    """Run an attempt of training on a node for so long, and let it end with these numbers."""
    job = f"tire-train-{attempt}"
    pod = play.start_pod(job, node="gpu-1")
    play.now += timedelta(seconds=seconds)
    end(play, job, verdict("train", outcome, numbers=numbers), failed=outcome != "succeeded")
    assert pod.scheduled_at != clock.to_text(play.now)
    play.step()


def end(play: Play, job: str, document: dict[str, Any] | None, *, failed: bool) -> None:
    """End both containers now, with or without a verdict."""
    begun, now = play.pods[job].scheduled_at, clock.to_text(play.now)
    agent = ContainerView("terminated", "", json.dumps(document) if document else "", int(failed), begun, now)
    trainer = ContainerView("terminated", "Error", "", 134 if failed else 0, begun, now)
    play.change_pod(job, phase="Failed" if failed else "Succeeded", containers={"agent": agent, "trainer": trainer})


def sums(play: Play) -> dict[str, Any]:
    known = dict(play.status.get("training", {}))
    return {name: known[name] for name in ("stepsLost", "interruptions", "gpuSeconds") if name in known}


def test_a_training_without_failures_is_useful_from_its_first_step() -> None:
    play = play_with(gpus=2)
    train(play, "succeeded", step=150, checkpointStep=150, trainingSeconds=60.4)
    assert sums(play) == {"gpuSeconds": {"useful": 121, "lost": 0, "waiting": 79}}


def test_a_crash_loses_the_steps_after_the_checkpoint() -> None:
    play = play_with()
    train(play, "crash", step=100, checkpointStep=50, trainingSeconds=80)
    assert sums(play) == {"stepsLost": 50, "gpuSeconds": {"useful": 40, "lost": 40, "waiting": 20}}
    assert play.status["training"]["step"] == 100


def test_attempts_are_summed_up_and_each_counts_once() -> None:
    play = play_with()
    train(play, "crash", step=100, checkpointStep=50, trainingSeconds=80)
    before = copy.deepcopy(sums(play))
    for _ in range(3):
        play.step()
    assert sums(play) == before
    play.step(LONG)
    train(play, "interrupted", attempt=2, step=75, resumedFromStep=50, checkpointStep=70, trainingSeconds=50)
    gpu_seconds = {"useful": 80, "lost": 50, "waiting": 70}
    assert sums(play) == {"stepsLost": 55, "interruptions": 1, "gpuSeconds": gpu_seconds}
    play.step(LONG)
    train(play, "succeeded", attempt=3, step=150, resumedFromStep=70, checkpointStep=150, trainingSeconds=100)
    gpu_seconds = {"useful": 180, "lost": 50, "waiting": 70}
    assert sums(play) == {"stepsLost": 55, "interruptions": 1, "gpuSeconds": gpu_seconds}


def test_a_hang_after_the_last_step_is_no_use_of_a_gpu() -> None:
    play = play_with()
    train(play, "stalled", seconds=1000, step=100, checkpointStep=100, trainingSeconds=90)
    assert sums(play) == {"gpuSeconds": {"useful": 90, "lost": 0, "waiting": 910}}


def test_an_attempt_that_never_trained_has_only_waited() -> None:
    play = play_with()
    train(play, "storageOutage", steps=150)
    assert sums(play) == {"gpuSeconds": {"useful": 0, "lost": 0, "waiting": 100}}


def test_without_a_gpu_steps_are_counted_and_no_gpu_seconds() -> None:
    play = play_with(gpus=0)
    train(play, "interrupted", step=100, checkpointStep=90, trainingSeconds=80)
    assert sums(play) == {"stepsLost": 10, "interruptions": 1}


def test_an_agent_of_the_version_before_reports_no_time_of_training() -> None:
    play = play_with()
    train(play, "succeeded", step=150, checkpointStep=150)
    assert sums(play)["gpuSeconds"] == {"useful": 20, "lost": 0, "waiting": 80}  # `work` of its timings is 20.25 s


def test_a_lost_node_costs_what_was_last_seen_of_its_pod() -> None:
    """There is no verdict, and the times of its containers never come."""
    play = play_with()
    pod = play.start_pod("tire-train-1", node="gpu-1")
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 90, "checkpointStep": 60, "trainingSeconds": 45.0}
    play.step(50)
    play.change_pod("tire-train-1", deletion_at=clock.to_text(play.now))
    play.progress |= {"step": 100, "trainingSeconds": 50.0}
    play.step(SETTINGS.lost_pod_seconds + 1)
    waiting = 50 + SETTINGS.lost_pod_seconds + 1 - 50
    spent = {"useful": 30, "lost": 20, "waiting": waiting}
    assert sums(play) == {"stepsLost": 40, "interruptions": 1, "gpuSeconds": spent}
    (ended,) = play.attempts("train")["history"]
    assert (ended["endedAt"], ended["toStep"]) == (clock.to_text(play.now), 100)


def test_an_agent_that_was_killed_costs_what_its_status_showed() -> None:
    """The operator was restarted since: it has no report of the pod any more."""
    play = play_with()
    pod = play.start_pod("tire-train-1")
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 80, "checkpointStep": 60}
    play.step(100)
    play.progress = {}
    end(play, "tire-train-1", None, failed=True)
    play.step()
    assert sums(play) == {"stepsLost": 20, "gpuSeconds": {"useful": 75, "lost": 25, "waiting": 0}}


def test_an_attempt_whose_pod_and_job_are_gone_costs_the_time_it_was_seen() -> None:
    play = play_with()
    pod = play.start_pod("tire-train-1")
    play.progress = {"podUID": pod.uid, "phase": "fetching", "updated": clock.to_text(play.now + timedelta(seconds=40))}
    play.step(10)
    play.pods.clear()
    play.jobs.clear()
    play.progress = {}
    play.step(3600)
    assert sums(play) == {"interruptions": 1, "gpuSeconds": {"useful": 0, "lost": 0, "waiting": 30}}
    assert "exitCode" not in play.attempts("train")["history"][0]


def test_steps_of_the_attempt_before_are_not_lost_twice() -> None:
    """The second attempt dies while it downloads: the status still shows the steps of the first one."""
    play = play_with()
    train(play, "crash", step=100, checkpointStep=50, trainingSeconds=80)
    play.step(LONG)
    play.start_pod("tire-train-2")
    play.step(10)
    end(play, "tire-train-2", None, failed=True)
    play.step()
    assert play.attempts("train")["ended"] == 2
    assert sums(play)["stepsLost"] == 50
    assert "toStep" not in play.attempts("train")["history"][1]


def test_steps_that_only_the_bucket_knew_are_not_forgotten_or_counted_twice() -> None:
    """Nothing could be read of the first attempt. The second one finds in the bucket how far it had come."""
    play = play_with()
    play.start_pod("tire-train-1")
    play.step(10)
    end(play, "tire-train-1", None, failed=True)
    play.step()
    assert "stepsLost" not in sums(play)
    play.step(LONG)
    pod = play.start_pod("tire-train-2")
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 55, "resumedFromStep": 50, "stepsLost": 30}
    play.step(10)
    assert sums(play)["stepsLost"] == 30
    train(play, "crash", attempt=2, step=60, resumedFromStep=50, checkpointStep=50, stepsLost=30)
    assert sums(play)["stepsLost"] == 40
    play.step(LONG)
    pod = play.start_pod("tire-train-3")
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 55, "resumedFromStep": 50, "stepsLost": 30}
    play.step(10)
    assert sums(play)["stepsLost"] == 40


def test_the_report_of_another_pod_is_not_believed() -> None:
    play = play_with()
    play.start_pod("tire-train-1")
    play.progress = {"podUID": "of-someone-else", "step": 10**6, "checkpointStep": 1, "trainingSeconds": 90}
    play.step(100)
    end(play, "tire-train-1", None, failed=True)
    play.step()
    assert sums(play) == {"gpuSeconds": {"useful": 0, "lost": 0, "waiting": 100}}


@pytest.mark.parametrize("claim", [2**53, -1, 2**80, float("nan"), "x", None, True], ids=str)
def test_no_claim_of_a_pod_makes_more_of_the_time_than_kubernetes_recorded(claim: Any) -> None:
    play = play_with()
    names = ("step", "resumedFromStep", "checkpointStep", "stepsLost", "trainingSeconds")
    train(play, "crash", **dict.fromkeys(names, claim))
    play.step(LONG)
    train(play, "crash", attempt=2, step=100, trainingSeconds=claim, stepsLost=claim)
    assert sum(sums(play)["gpuSeconds"].values()) == 200
    assert errors(crd_part("status"), dict(play.status)) == []


def test_a_suspension_is_no_interruption_and_loses_nothing() -> None:
    play = play_with()
    pod = play.start_pod("tire-train-1", node="gpu-1")
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 53, "checkpointStep": 50, "trainingSeconds": 40.0}
    play.step(60)
    play.spec(suspend=True)
    play.step(0)
    assert sums(play) == {}  # its pod saves a checkpoint, and holds its GPU meanwhile
    play.step(9)
    said = verdict("train", "interrupted", numbers={"step": 55, "checkpointStep": 55, "trainingSeconds": 42.0})
    end(play, "tire-train-1", said, failed=True)
    play.step(1)
    assert sums(play) == {"gpuSeconds": {"useful": 42, "lost": 0, "waiting": 27}}
    (ended,) = play.attempts("train")["history"]
    assert (ended["outcome"], ended["reason"], ended["toStep"]) == ("suspended", "Suspended", 55)
    assert "failures" not in play.attempts("train")


def test_a_verdict_says_what_a_suspension_has_lost() -> None:
    play = play_with()
    play.start_pod("tire-train-1")
    play.step(60)
    said = verdict("train", "interrupted", numbers={"step": 53, "checkpointStep": 50, "trainingSeconds": 53.0})
    end(play, "tire-train-1", said, failed=True)
    draft = Draft(play.run, play.now)
    resolved = {"train": {"gpus": 1}}
    context = StageContext(Stage.TRAIN, Decision(draft), Observed(find_run=play.others.get), resolved, SETTINGS)
    pod = play.pods["tire-train-1"]
    close_attempt(context, Ending(SUSPENDED, "Suspended", pod, parse_verdict(pod.agent.message)))
    spent = {"useful": 50, "lost": 3, "waiting": 7}
    training = draft.status["training"]
    assert (training["step"], training["stepsLost"], training["gpuSeconds"]) == (53, 3, spent)
    assert "checkpointStep" not in training


def test_a_retry_goes_on_with_the_sums() -> None:
    play = play_with()
    train(play, "diverged", step=100, checkpointStep=50, trainingSeconds=80)
    assert play.status["phase"] == "Failed"
    play.spec(retry=1)
    play.step()
    train(play, "crash", attempt=2, step=60, resumedFromStep=50, checkpointStep=55, trainingSeconds=50)
    assert sums(play) == {"stepsLost": 55, "gpuSeconds": {"useful": 65, "lost": 65, "waiting": 70}}
    assert [ended["number"] for ended in play.attempts("train")["history"]] == [1, 2]


def test_a_status_of_the_version_before_has_no_history() -> None:
    """Its attempts that ended are not known, and the step that it shows may be of one of them."""
    play = play_with()
    train(play, "crash", step=100, checkpointStep=50, trainingSeconds=80)
    play.step(LONG)
    status: dict[str, Any] = copy.deepcopy({**play.status})
    status["attempts"][1].pop("history")
    status["training"] = {"step": 100, "checkpointStep": 50, "stepsLost": 7}
    play.run = a_run().spec(train={"gpus": 1}).status(**status).build()
    play.start_pod("tire-train-2")
    play.step(10)
    end(play, "tire-train-2", None, failed=True)
    play.step()
    assert sums(play) == {"stepsLost": 7, "gpuSeconds": {"useful": 0, "lost": 0, "waiting": 10}}
    assert [ended["number"] for ended in play.attempts("train")["history"]] == [2]


def test_the_history_says_how_an_attempt_ended_where_and_between_which_steps() -> None:
    play = play_with()
    created = clock.to_text(play.now)
    train(play, "crash", step=100, resumedFromStep=20, checkpointStep=50, trainingSeconds=80)
    assert play.attempts("train")["history"] == [
        {
            "number": 1,
            "startedAt": created,
            "endedAt": clock.to_text(play.now),
            "node": "gpu-1",
            "outcome": "crash",
            "reason": "Crash",
            "exitCode": 134,  # of the trainer, not 1 of the agent that tells of it
            "fromStep": 20,
            "toStep": 100,
        }
    ]
    (prepared,) = play.attempts("prep")["history"]
    assert (prepared["outcome"], prepared["exitCode"], prepared.keys() & {"fromStep", "toStep"}) == (
        "succeeded",
        0,
        set(),
    )


def test_the_last_three_ends_are_kept_and_older_ones_summed() -> None:
    play = Play()
    play.step()
    for number, outcome in enumerate(["interrupted", "storageOutage", "interrupted", "crash", "stalled"], start=1):
        play.end_pod(f"tire-prep-{number}", outcome)
        play.step()
        play.step(LONG)
    entry = play.attempts("prep")
    assert [(end["number"], end["outcome"]) for end in entry["history"]] == [
        (3, "interrupted"),
        (4, "crash"),
        (5, "stalled"),
    ]
    assert entry["older"] == {"interrupted": 1, "storageOutage": 1}
    assert errors(crd_part("status"), dict(play.status)) == []


def test_an_attempt_that_is_replaced_without_a_pod_is_in_the_history() -> None:
    play = Play()
    play.step()
    play.restart(replace(SETTINGS, run_pods=RunPods(labels={"team": "vision"})))
    play.hints = {"uid-tire-prep-1": "FailedCreate: denied by a policy"}
    play.step(10)
    (ended,) = play.attempts("prep")["history"]
    assert (ended["outcome"], ended["reason"], "exitCode" in ended) == ("replaced", "PodRefused", False)


def test_ordinary_messages_leave_room_for_three_ends_of_each_stage() -> None:
    play = play_with(gpus=1)
    full = {
        "number": 9,
        "startedAt": "2026-01-01T00:00:00Z",
        "endedAt": "2026-01-01T01:00:00Z",
        "node": "ip-10-0-123-123.eu-central-1.compute.internal",
        "outcome": "interrupted",
        "reason": "EvictionByEvictionAPI",
        "exitCode": 143,
        "fromStep": 100_000,
        "toStep": 123_456,
    }
    play.end_pod("tire-train-1")
    play.step()
    play.end_pod("tire-export-1")
    play.step()
    entries = play.run.status["attempts"]
    for entry in entries:
        entry["history"] = [copy.deepcopy(full) for _ in range(3)]  # type: ignore[misc]
    history.fit(play.run.status)
    assert [len(entry["history"]) for entry in entries] == [3, 3, 3]


def test_the_end_that_is_longest_ago_gives_way_first() -> None:
    play = play_with()
    train(play, "crash", step=1)
    play.run.status["message"] = "x" * (8 * 1024)
    history.fit(play.run.status)
    assert [entry.get("history") for entry in play.run.status["attempts"]] == [None, None]
    assert [entry["older"] for entry in play.run.status["attempts"]] == [{"succeeded": 1}, {"crash": 1}]
    play = play_with()
    train(play, "crash", step=1)
    room = 8 * 1024 - len(json.dumps(play.run.status, separators=(",", ":")))
    play.run.status["message"] += "x" * room
    history.fit(play.run.status)
    assert [len(entry.get("history", ())) for entry in play.run.status["attempts"]] == [0, 1]
