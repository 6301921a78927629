"""The ConfigMap of a run is believed by its digest alone: at acceptance, after it, and after an upgrade."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.settings import Policy
from trainingrun.builders.resolved import text_digest
from trfakes.builders import SETTINGS, a_run
from trfakes.play import Play

MAP = "tire-resolved-11111111"
EVIL = json.dumps({"contractVersion": 1, "images": {"agent": "evil:1"}})
DELETE = f"Delete it: kubectl -n default delete configmap {MAP}."
NEWER = replace(SETTINGS, agent_image="agent:2", trainer_image="trainer:2", tensorboard_image="tensorboard:2")


def env(body: dict[str, Any]) -> dict[str, str]:
    (agent, *_) = body["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in agent["env"]}


def test_the_digest_is_of_the_bytes_of_the_config_map_and_every_pod_is_told_it() -> None:
    play = Play()
    decision = play.step()
    assert play.document is not None
    digest = text_digest(play.document)
    assert play.status["resolvedDigest"] == digest
    assert env(decision.create[1])["TRAININGRUN_RESOLVED_SHA256"] == digest
    play.end_pod("tire-prep-1")
    (job,) = play.step(1).create
    play.start_pod("tire-train-1")
    (board, _) = play.step(1).create_optional
    assert [env(body)["TRAININGRUN_RESOLVED_SHA256"] for body in (job, board)] == [digest] * 2


def new() -> Play:
    return Play()


def accepted_before_digests() -> Play:
    return Play(a_run().status(storageURI="s3://detectors/runs/"))


@pytest.mark.parametrize("make", [new, accepted_before_digests])
def test_a_config_map_that_waits_for_the_run_is_refused_and_looked_at_ever_less_often(make: Callable[[], Play]) -> None:
    play = make()
    play.document = EVIL
    assert play.step().requeue_after == 5
    assert play.condition("Accepted")["reason"] == "ForeignConfigMap"
    assert play.status["progress"]["text"] == "waiting (ForeignConfigMap)"
    assert DELETE in play.condition("Accepted")["message"]
    assert DELETE in play.status["message"]
    assert play.reasons() == []
    assert [play.step(seconds).requeue_after for seconds in (5, 10, 15, 1000)] == [5, 15, 30, 300]
    assert (play.created, play.reasons()) == ([], ["ForeignConfigMap"])


@pytest.mark.parametrize(
    "text", ["", "[1]", "{nope", "null", '{"contractVersion":1}', '{"contractVersion": "\\u001b[2J"}', "[" * 9999]
)
@pytest.mark.parametrize("make", [new, accepted_before_digests])
def test_whatever_a_config_map_holds_the_run_says_so(text: str, make: Callable[[], Play]) -> None:
    play = make()
    play.document = text
    play.step()
    assert play.condition("Accepted")["reason"] == "ForeignConfigMap"
    play.document = None
    play.step(5)
    assert play.condition("Accepted")["status"] == "True"


def test_a_deleted_config_map_is_made_again_with_the_same_bytes() -> None:
    play = Play()
    play.play_to(Stage.TRAIN)
    play.end_pod("tire-train-1", "crash")
    accepted, play.document = play.document, None
    play.step(1)
    play.step(20)
    assert (play.document, play.created[-1]) == (accepted, "tire-train-2")


def test_a_config_map_that_was_read_before_an_upgrade_of_the_settings_is_made_again_from_memory() -> None:
    play = Play()
    play.play_to(Stage.TRAIN)
    play.end_pod("tire-train-1", "crash")
    accepted = play.document
    play.restart(NEWER)
    play.step(1)
    play.document = None
    play.step(20)
    assert (play.document, play.created[-1]) == (accepted, "tire-train-2")


def test_a_config_map_deleted_while_a_pod_waits_for_it_is_made_again() -> None:
    play = Play()
    pod = play.start_pod(play.play_to(Stage.TRAIN), phase="Pending", containers={})
    play.hints[pod.uid] = f'FailedMount: MountVolume.SetUp failed for volume "resolved" : configmap "{MAP}" not found'
    accepted, play.document = play.document, None
    play.step(10)
    assert play.condition("Trained")["reason"] == "ConfigMapMissing"
    assert play.document == accepted


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("newer", [False, True], ids=["this operator", "a newer operator"])
def test_a_replaced_config_map_starts_nothing(newer: bool, restarted: bool) -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.end_pod(job, "crash")
    play.step(1)
    accepted, play.document = play.document, json.dumps({**play.resolved, "images": {"agent": "evil:1"}})
    play.settings = NEWER if newer else SETTINGS
    if restarted:
        play.restart(play.settings)
    play.step(60)
    assert play.condition("Accepted")["reason"] == ("ConfigMapLost" if newer and restarted else "ConfigMapReplaced")
    assert play.created[-1] != "tire-train-2"
    play.document = accepted
    play.step(60)
    assert play.created[-1] == "tire-train-2"


def lost_in_flight() -> Play:
    """A training whose ConfigMap was deleted, and an upgraded operator that cannot make it again."""
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    play.document = None
    play.restart(NEWER)
    play.step(1)
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    return play


def test_an_attempt_in_flight_ends_though_its_config_map_is_lost_and_no_other_is_started() -> None:
    play = lost_in_flight()
    play.end_pod("tire-train-1")
    play.step(1)
    assert play.condition("Trained")["status"] == "True"
    play.step(60)
    assert "tire-export-1" not in play.created
    assert "ConfigMapLost" in play.status["progress"]["text"]


@pytest.mark.parametrize("started", [True, False], ids=["runs", "waits"])
def test_an_attempt_whose_config_map_is_lost_writes_no_status_without_news(*, started: bool) -> None:
    """It wrote one every five seconds, for as long as the attempt lasted, with a new time alone."""
    play = lost_in_flight()
    if not started:
        del play.pods["tire-train-1"]
        play.run = replace(play.run, status=json.loads(json.dumps(play.status)))
        play.step(60)
    before = play.status
    play.step(60)
    assert play.status == before


def test_a_run_whose_config_map_is_lost_can_be_suspended() -> None:
    play = lost_in_flight()
    play.spec(suspend=True)
    play.step(1)
    assert "tire-train-1" not in play.jobs


def test_a_config_map_that_policy_would_not_give_again_does_not_fail_the_run() -> None:
    play = Play()
    play.play_to(Stage.TRAIN)
    play.document = None
    play.restart(replace(SETTINGS, policy=Policy(endpoints=("https://s3.example.com",))))
    play.step(1)
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    assert play.condition("Finished")["status"] == "False"


def test_a_newer_operator_does_not_resolve_an_accepted_run_again() -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.PREP))
    play.restart(replace(NEWER, policy=Policy(endpoints=("https://s3.example.com",))))
    decision = play.step(1)
    images = {c["image"] for body in decision.create for c in body["spec"]["template"]["spec"]["containers"]}
    assert images == {"agent:1", "trainer:1"}
    play.start_pod("tire-train-1")
    (board, _) = play.step(1).create_optional
    assert [c["image"] for c in board["spec"]["template"]["spec"]["containers"]] == ["agent:1", "tensorboard:1"]


def finished_before_digests() -> Play:
    play = Play(a_run().spec(tensorboard={"enabled": False}))
    play.end_pod(play.play_to(Stage.EXPORT))
    play.step(1)
    status = {key: value for key, value in play.status.items() if key != "resolvedDigest"}
    play.run = replace(play.run, status=status)  # type: ignore[arg-type]
    play.restart(NEWER)
    return play


def test_a_finished_run_of_an_earlier_version_gets_a_digest_only_when_it_needs_one() -> None:
    play = finished_before_digests()
    assert not play.step(1).read_document
    assert "resolvedDigest" not in play.status
    play.spec(tensorboard={"enabled": True})
    decision = play.step(1)
    assert play.status["resolvedDigest"] == text_digest(play.document or "")
    containers = decision.create_optional[0]["spec"]["template"]["spec"]["containers"]
    assert [c["image"] for c in containers] == ["agent:1", "tensorboard:1"]


@pytest.mark.parametrize("text", [None, "", "[1]", '{"contractVersion":1,"images":{"agent":"evil:1"}}'])
def test_a_finished_run_gets_no_tensorboard_of_a_forged_config_map(text: str | None) -> None:
    play = finished_before_digests()
    play.spec(tensorboard={"enabled": True})
    play.document = text
    decision = play.step(1)
    assert (decision.create_optional, "tensorboard" in play.status) == ([], False)
    assert play.status["phase"] == "Succeeded"
