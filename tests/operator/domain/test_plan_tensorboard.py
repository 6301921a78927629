"""TensorBoard comes after the trainer, makes room for runs that wait for some, and comes back less and less often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain.tensorboard import PATIENCE_SECONDS
from trfakes.builders import SPEC, a_run, running, waiting
from trfakes.play import Play

BOARD = ["Deployment tire-tensorboard", "Service tire-tensorboard"]
CHILDREN = [("Deployment", "tire-tensorboard"), ("Service", "tire-tensorboard")]
QUOTA = {"uid-tire-train-2": "FailedCreate: exceeded quota: team, requested: requests.cpu=2, used: requests.cpu=1"}
QUIET = 20


def waiting_neighbour(play: Play, *, waits: bool = True) -> None:
    """Another run of the namespace waits for room, or has got it."""
    reason = "QuotaExceeded" if waits else "Running"
    play.others["default/other"] = a_run("other").condition("Trained", "False", reason=reason).build()


def training() -> Play:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    return play


def ended() -> Play:
    play = training()
    play.end_pod("tire-train-1", "userError")
    play.step(1)
    return play


def deleted(decision: Any) -> list[tuple[str, str]]:
    return [(child.kind, child.name) for child in decision.delete]


def test_tensorboard_waits_until_the_trainer_has_started() -> None:
    """Its pod took the rest of the quota, and the run waited for itself without end."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.step(5)
    play.start_pod(job, phase="Pending", containers={"agent": running(), "trainer": waiting("ContainerCreating")})
    play.step(5)
    assert play.created[-1] == job
    play.change_pod(job, phase="Running", containers={"agent": running(), "trainer": running()})
    play.step(5)
    assert play.created[-2:] == BOARD


def test_tensorboard_is_not_created_for_an_attempt_that_is_over() -> None:
    play = Play(a_run().spec(tensorboard={"enabled": False}))
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    play.end_pod("tire-train-1", "crash")
    play.step(1)
    play.spec(tensorboard={"enabled": True})
    play.step(1)
    assert play.created == ["tire-prep-1", "tire-train-1"]


def test_tensorboard_of_a_finished_run_makes_room_and_comes_back() -> None:
    play = ended()
    waiting_neighbour(play)
    decision = play.step(QUIET)
    assert deleted(decision) == CHILDREN
    assert play.status["tensorboard"] == {
        "yields": 1,
        "returnsAt": "2026-01-01T00:01:23Z",
        "message": "A pod of the namespace has no room, so TensorBoard makes room. "
        "It comes back when none waits any more.",
    }
    assert deleted(play.step(60)) == []
    assert play.reasons().count("TensorBoardYields") == 1
    waiting_neighbour(play, waits=False)
    play.step(60)
    assert play.created[-2:] == BOARD
    assert play.status["tensorboard"]["serviceName"] == "tire-tensorboard"


def test_tensorboard_that_yields_stays_away_longer_each_time() -> None:
    play = ended()
    absences = []
    for _ in range(9):
        waiting_neighbour(play)
        requeue = play.step(1).requeue_after
        assert requeue is not None
        absences.append(int(requeue))
        waiting_neighbour(play, waits=False)
        play.spec(tensorboard={"enabled": True, "ttlSecondsAfterFinished": 31536000})
        play.step(requeue)
        assert "serviceName" in play.status["tensorboard"]
    assert absences == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_tensorboard_of_a_running_run_stays_for_others() -> None:
    play = training()
    waiting_neighbour(play)
    assert deleted(play.step(600)) == []
    assert play.status["tensorboard"]["serviceName"] == "tire-tensorboard"


def waits_again() -> Play:
    """A run with a TensorBoard whose second attempt of training gets no room."""
    play = training()
    play.end_pod("tire-train-1", "interrupted")
    play.step(1)
    play.hints = QUOTA
    play.step(PATIENCE_SECONDS - 1)
    assert play.condition("Trained")["reason"] == "QuotaExceeded"
    return play


def test_a_waiting_run_asks_idle_tensorboards_to_go_and_then_gives_up_its_own() -> None:
    play = waits_again()
    idle = a_run("idle").condition("Finished").status(tensorboard={"serviceName": "idle-tensorboard"})
    play.others["default/idle"] = idle.build()
    decision = play.step(1)
    assert (decision.wake, deleted(decision)) == (["default/idle"], [])
    del play.others["default/idle"]
    decision = play.step(1)
    assert (decision.wake, deleted(decision)) == ([], CHILDREN)
    assert "comes back when none waits" in play.status["tensorboard"]["message"]


def test_a_run_that_waits_for_a_moment_only_sends_nothing_away() -> None:
    play = training()
    play.end_pod("tire-train-1", "interrupted")
    play.step(1)
    play.hints = QUOTA
    assert deleted(play.step(5)) == []
    assert deleted(play.step(5)) == []


def test_tensorboard_is_not_created_while_another_run_waits_for_room() -> None:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    waiting_neighbour(play)
    decision = play.step(1)
    assert decision.create_optional == []
    assert "no room" in play.status["tensorboard"]["message"]
    waiting_neighbour(play, waits=False)
    play.step(60)
    assert play.created[-2:] == BOARD


def test_a_suspended_runs_tensorboard_makes_room() -> None:
    play = training()
    play.spec(suspend=True)
    play.step(1)
    waiting_neighbour(play)
    assert deleted(play.step(1)) == CHILDREN


def test_tensorboard_that_yields_is_forgotten_when_it_expires() -> None:
    play = ended()
    waiting_neighbour(play)
    play.step(1)
    play.step(3600)
    assert "tensorboard" not in play.status


def test_tensorboard_switched_off_as_it_is_created_goes() -> None:
    """The status that shows it is refused, because the spec has changed meanwhile."""
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    before = play.run
    play.step(1)
    assert play.created[-2:] == BOARD
    play.run = replace(before, spec={**SPEC, "tensorboard": {"enabled": False}}, generation=before.generation + 1)
    assert deleted(play.step(1)) == CHILDREN
    assert deleted(play.step(1)) == []


@pytest.mark.parametrize("resolved", [True, False])
def test_tensorboard_goes_after_its_time(*, resolved: bool) -> None:
    play = ended()
    if not resolved:
        play.document = None
        play.restart()
    assert deleted(play.step(3600)) == CHILDREN


@pytest.mark.parametrize("make", [training, ended], ids=["training", "ended"])
def test_tensorboard_that_something_else_deleted_is_made_again(make: Callable[[], Play]) -> None:
    """The status went on to show its address, and nothing was there."""
    play = make()
    play.board_lost = True
    assert deleted(play.step(1)) == CHILDREN  # what is left of it
    assert "serviceName" not in play.status["tensorboard"]
    play.created = [name for name in play.created if "tensorboard" not in name]
    play.step(1)
    play.board_lost = False
    assert play.created[-2:] == BOARD
    assert play.status["tensorboard"]["serviceName"] == "tire-tensorboard"


def test_tensorboard_that_something_else_deleted_takes_no_room_from_an_attempt() -> None:
    play = waits_again()
    play.board_lost = True
    play.step(0)
    decision = play.step(1)
    assert decision.create_optional == []
    assert play.status["tensorboard"]["message"].startswith("Something else than the operator has deleted TensorBoard.")


def test_a_lost_tensorboard_that_is_not_wanted_stays_away() -> None:
    play = training()
    play.board_lost = True
    play.spec(tensorboard={"enabled": False})
    play.step(1)
    assert play.step(1).create_optional == []
    assert "tensorboard" not in play.status
