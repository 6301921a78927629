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
    if make is accepted_before_digests:
        assert "Then raise spec.retry to 1" in play.condition("Accepted")["message"]
        play.spec(retry=1)
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


def test_a_run_of_an_earlier_version_whose_config_map_is_gone_is_not_resolved_again_by_itself() -> None:
    """It was, with the images and the policy of today: nothing showed what it had been accepted with."""
    play = accepted_before_digests()
    play.step()
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    assert (play.created, play.document) == ([], None)
    assert "nothing shows what the run was accepted with" in play.status["message"]


def lost_between_attempts(**settings: Any) -> Play:
    """A run that trains, with its ConfigMap deleted in a back-off and an operator of other settings."""
    play = Play()
    play.end_pod(play.play_to(Stage.TRAIN), "crash")
    play.step(1)
    play.document = None
    play.restart(replace(NEWER, **settings))
    play.step(60)
    return play


def test_a_run_whose_config_map_is_lost_waits_for_retry_and_says_so() -> None:
    play = lost_between_attempts()
    message = play.condition("Accepted")["message"]
    assert message == (
        f"ConfigMap {MAP} was deleted, and the operator would write another one today. Restore it from a backup; or "
        "delete it if it exists, and raise spec.retry to 1: the run is then accepted anew, with today's images, "
        "defaults and policy."
    )
    play.step(3600)
    assert (play.document, play.created[-1]) == (None, "tire-train-1")


def test_retry_accepts_a_run_anew_whose_config_map_is_lost() -> None:
    play = lost_between_attempts()
    before = play.status["resolvedDigest"]
    play.spec(retry=1)
    decision = play.step(5)
    assert play.condition("Accepted")["status"] == "True"
    assert play.status["resolvedDigest"] == text_digest(play.document or "") != before
    assert play.resolved["images"]["agent"] == "agent:2"
    assert (play.created[-1], play.status["retry"]) == ("tire-train-2", 1)
    assert env(decision.create[-1])["TRAININGRUN_RESOLVED_SHA256"] == play.status["resolvedDigest"]
    assert play.condition("Prepared")["status"] == "True"
    why = f"spec.retry was raised to 1 and ConfigMap {MAP} is gone."
    said = f"Accepting the run anew, as the operator would accept it today: {why}"
    assert [event.message for event in play.events if event.reason == "Retry"] == [said]
    assert "RetryIgnored" not in play.reasons()


def test_an_attempt_that_a_run_accepted_anew_gives_up_is_among_those_that_ended() -> None:
    play = Play()
    play.step()
    play.start_pod("tire-prep-1", phase="Pending", containers={}, node="n1")
    play.document = None
    play.restart(NEWER)
    play.spec(retry=1)
    play.step(5)
    (end,) = play.attempts("prep")["history"]
    assert (end["number"], end["outcome"], end["reason"], end["node"]) == (1, "replaced", "ConfigMapLost", "n1")
    assert play.attempts("prep")["ended"] == 1


def test_one_retry_opens_a_failed_run_and_accepts_it_anew() -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.TRAIN), "storageRefused")
    play.step(1)
    play.document = None
    play.restart(NEWER)
    play.spec(retry=1)
    play.step(60)
    assert (play.status["phase"], play.created[-1]) == ("Training", "tire-train-2")
    assert play.resolved["images"]["agent"] == "agent:2"


def test_a_run_that_is_accepted_anew_passes_the_policy_of_today() -> None:
    play = lost_between_attempts(policy=Policy(endpoints=("https://s3.example.com",)))
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    play.spec(retry=1)
    play.step(5)
    assert (play.status["phase"], play.condition("Accepted")["reason"]) == ("Failed", "ForbiddenByPolicy")
    play.step(1)
    assert (play.document, play.created[-1]) == (None, "tire-train-1")
    play.settings = NEWER
    play.spec(retry=2)
    play.step(5)
    assert play.created[-1] == "tire-train-2"


def test_retry_accepts_nothing_anew_that_is_not_lost() -> None:
    """It would be a way around the rule that an accepted run keeps its images."""
    play = Play()
    play.end_pod(play.play_to(Stage.TRAIN), "storageRefused")
    play.step(1)
    accepted = play.document
    play.restart(NEWER)
    play.spec(retry=1)
    play.step(1)
    assert (play.document, play.created[-1]) == (accepted, "tire-train-2")


@pytest.mark.parametrize("known", [True, False], ids=["text known", "same operator"])
def test_retry_restores_what_the_run_was_accepted_with_if_that_is_known(*, known: bool) -> None:
    play = Play()
    play.end_pod(play.play_to(Stage.TRAIN), "storageRefused")
    play.step(1)
    accepted, play.document = play.document, None
    if known:
        play.settings = NEWER
    else:
        play.restart()
    play.spec(retry=1)
    play.step(1)
    assert (play.document, play.created[-1]) == (accepted, "tire-train-2")


def test_retry_accepts_nothing_while_another_config_map_is_there() -> None:
    play = lost_between_attempts()
    play.document = EVIL
    play.spec(retry=1)
    play.step(5)
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    assert play.created[-1] == "tire-train-1"
    play.document = None
    play.step(5)
    assert play.created[-1] == "tire-train-2"


def test_retry_waits_for_the_attempt_that_runs_without_its_config_map() -> None:
    play = lost_in_flight()
    play.spec(retry=1)
    play.step(5)
    assert "spec.retry counts as soon as the attempt that runs has ended." in play.condition("Accepted")["message"]
    assert play.document is None
    play.end_pod("tire-train-1")
    play.step(1)
    play.step(5)
    assert play.condition("Accepted")["status"] == "True"
    assert play.created[-1] == "tire-export-1"


def test_an_attempt_that_waits_for_its_lost_config_map_is_replaced_at_retry() -> None:
    play = Play()
    pod = play.start_pod(play.play_to(Stage.TRAIN), phase="Pending", containers={})
    play.hints[pod.uid] = f'FailedMount: MountVolume.SetUp failed for volume "resolved" : configmap "{MAP}" not found'
    play.document = None
    play.restart(NEWER)
    play.step(10)
    assert play.condition("Accepted")["reason"] == "ConfigMapLost"
    play.spec(retry=1)
    play.step(10)
    assert "tire-train-1" not in play.jobs
    play.change_pod("tire-train-1", gone=True)
    play.step(5)
    assert play.created[-1] == "tire-train-2"
    assert "failures" not in play.attempts("train")


def test_an_operator_that_dies_after_the_new_config_map_accepts_the_run_nevertheless() -> None:
    play = lost_between_attempts()
    play.spec(retry=1)
    before = play.run
    play.step(5)
    play.run, play.created = before, []
    play.jobs.pop("tire-train-2")
    play.restart(NEWER)
    play.step(5)
    assert play.status["resolvedDigest"] == text_digest(play.document or "")
    assert play.created == ["tire-train-2"]


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
