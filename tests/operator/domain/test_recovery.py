"""What follows a failure of training: train.onDivergence, train.onOutOfMemory and train.retries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trfakes.builders import a_run, terminated
from trfakes.play import Play
from trfakes.second_runs import SAVED


def playing(**train: Any) -> Play:
    play = Play(a_run().spec(train=train))
    play.play_to(Stage.TRAIN)
    return play


def fail(play: Play, outcome: str, **fields: Any) -> None:
    """End the newest attempt, and wait for as long as any back-off lasts."""
    play.end_pod(play.created[-1], outcome, **{"numbers": SAVED, **fields})
    play.step(1)
    play.step(600)


def changes(play: Play) -> dict[str, Any]:
    """What the agent of the newest attempt is told."""
    (agent, *_) = play.specs[f"uid-{play.created[-1]}"]["template"]["spec"]["containers"]
    values = {variable["name"]: variable.get("value") for variable in agent["env"]}
    return dict(json.loads(values.get("TRAININGRUN_CHANGES") or "{}"))


def test_a_rollback_has_half_the_rate_once() -> None:
    play = playing(onDivergence="Rollback", learningRate="0.004")
    fail(play, "diverged", message="The loss is NaN.")
    assert play.created[-1] == "tire-train-2"
    assert changes(play) == {"learningRateFactor": 0.5}
    training = play.status["training"]
    assert (training["learningRateFactor"], training["learningRate"]) == (0.5, "0.0020")
    (message,) = (event.message for event in play.events if event.kind == "Warning")
    assert message == (
        "Attempt 1 of train ended: The loss is NaN. The next attempt goes on from the last good checkpoint with "
        "learning rate 0.0020 instead of 0.004 (train.onDivergence: Rollback)."
    )
    fail(play, "interrupted")
    assert changes(play) == {"learningRateFactor": 0.5}
    fail(play, "diverged")
    assert play.status["phase"] == "Failed"
    play.spec(retry=1)
    play.step(1)
    assert changes(play) == {"learningRateFactor": 0.5}
    fail(play, "diverged")
    assert play.status["phase"] == "Failed"


def test_a_rollback_before_the_first_checkpoint_starts_again() -> None:
    play = playing(onDivergence="Rollback", learningRate="0.004")
    fail(play, "diverged", message="The loss is NaN.", numbers={"step": 30, "steps": 300})
    (message,) = (event.message for event in play.events if event.kind == "Warning")
    assert "The next attempt starts again, because no checkpoint is saved yet, with learning rate 0.0020" in message


def test_without_rollback_a_divergence_ends_the_run() -> None:
    play = playing()
    fail(play, "diverged")
    assert play.status["phase"] == "Failed"
    assert "learningRateFactor" not in play.status["training"]


def test_the_batch_is_halved_down_to_one_image() -> None:
    play = playing(onOutOfMemory="HalveBatch", batchSize=5)
    sizes = []
    while play.status["phase"] != "Failed":
        sizes.append(changes(play).get("batchSize"))
        fail(play, "outOfMemory", reason="DeviceOutOfMemory", message="No memory.")
    assert sizes == [None, 2, 1]
    assert play.status["training"]["batchSize"] == 1
    told = [event.message for event in play.events if event.reason == "DeviceOutOfMemory"]
    assert told[0] == (
        "Attempt 1 of train ended: No memory. The next attempt has batch size 2 instead of 5 "
        "(train.onOutOfMemory: HalveBatch)."
    )


def test_the_budget_limits_the_halvings() -> None:
    play = playing(onOutOfMemory="HalveBatch", batchSize=64, retries={"outOfMemory": 2})
    for size in (32, 16):
        fail(play, "outOfMemory")
        assert changes(play) == {"batchSize": size}
    pod = play.start_pod(play.created[-1], phase="Failed")
    dead = {"agent": terminated(exit_code=1), "trainer": terminated(reason="OOMKilled", exit_code=137)}
    play.change_pod(play.created[-1], containers={**pod.containers, **dead})
    play.step(1)
    assert play.status["phase"] == "Failed"
    assert "spec.train.batchSize: 8 (now 64)" in play.status["message"]
    play.spec(retry=1)
    play.step(1)
    assert changes(play) == {"batchSize": 16}


def test_an_agent_without_memory_is_no_reason_for_a_smaller_batch() -> None:
    play = playing(onOutOfMemory="HalveBatch", batchSize=64)
    pod = play.start_pod("tire-train-1", phase="Failed")
    play.change_pod(
        "tire-train-1", containers={**pod.containers, "agent": terminated(reason="OOMKilled", exit_code=137)}
    )
    play.step(1)
    assert (play.created[-1], changes(play)) == ("tire-train-2", {})


def test_a_trainer_that_is_killed_for_memory_gets_a_smaller_batch() -> None:
    play = playing(onOutOfMemory="HalveBatch", batchSize=64)
    pod = play.start_pod("tire-train-1", phase="Failed")
    play.change_pod(
        "tire-train-1",
        containers={
            "agent": terminated("", exit_code=1),
            "trainer": terminated(reason="OOMKilled", exit_code=137),
        },
    )
    assert pod
    play.step(1)
    assert changes(play) == {"batchSize": 32}


@pytest.mark.parametrize(
    ("outcome", "usual"), [("crash", 3), ("stalled", 2), ("storageOutage", 5), ("outOfMemory", 1), ("interrupted", 5)]
)
@pytest.mark.parametrize("asked", [None, 0, 1, 7])
def test_retries_replace_the_budget_of_an_outcome(outcome: str, usual: int, asked: int | None) -> None:
    play = playing(**({} if asked is None else {"retries": {outcome: asked}}))
    attempts = 0
    while play.status["phase"] != "Failed":
        attempts += 1
        fail(play, outcome, numbers={})
    assert attempts == 1 + (usual if asked is None else asked)


def test_retries_are_those_of_training_alone() -> None:
    play = Play(a_run().spec(train={"retries": {"crash": 0}}))
    play.step()
    fail(play, "crash", numbers={})
    assert play.created[-1] == "tire-prep-2"


def test_both_changes_last_together() -> None:
    play = playing(onOutOfMemory="HalveBatch", onDivergence="Rollback", batchSize=8)
    fail(play, "outOfMemory")
    fail(play, "diverged")
    assert changes(play) == {"batchSize": 4, "learningRateFactor": 0.5}
    assert play.attempts("train")["changes"] == {"batchSize": 4, "learningRateFactor": 0.5}
    play.spec(finish=True)
    play.step(1)
    play.jobs.clear()
    play.step(1)
    assert changes(play) == {"batchSize": 4, "finish": True, "learningRateFactor": 0.5}


def test_a_document_of_an_earlier_version_changes_nothing() -> None:
    play = playing(onOutOfMemory="HalveBatch", onDivergence="Rollback", batchSize=8)
    old = {**play.resolved["train"]}
    for name in ("onOutOfMemory", "onDivergence", "retries"):
        del old[name]
    play.accept_with(train=old)
    fail(play, "outOfMemory")
    assert changes(play) == {}
    fail(play, "diverged")
    assert play.status["phase"] == "Failed"
