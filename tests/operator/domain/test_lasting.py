"""What a run waits for is in the status at once; an Event comes only for what lasts, and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain.lasting import LASTS_SECONDS
from trainingrun.domain.waiting import OF_EVERY_POD
from trfakes.builders import SETTINGS, a_run, waiting
from trfakes.play import Play

NO_CPU = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available."
MOUNT = 'FailedMount: MountVolume.SetUp failed for volume "credentials" : secret "trainingrun-s3" not found'
QUOTA = 'FailedCreate: Error creating: pods "tire-prep-1-x" is forbidden: exceeded quota: team, requested: cpu=1'


def unscheduled(play: Play) -> None:
    play.start_pod("tire-prep-1", phase="Pending", scheduled_at="", containers={}, unschedulable=NO_CPU)


def without_image(play: Play) -> None:
    containers = {"agent": waiting("ErrImagePull", "not found")}
    play.start_pod("tire-prep-1", phase="Pending", containers=containers)


def without_secret(play: Play) -> None:
    pod = play.start_pod("tire-prep-1", phase="Pending", containers={})
    play.hints = {pod.uid: MOUNT}


def over_quota(play: Play) -> None:
    play.hints = {"uid-tire-prep-1": QUOTA}


WAITS: dict[str, Callable[[Play], None]] = {
    "PodUnschedulable": unscheduled,
    "ImagePullFailed": without_image,
    "SecretMissing": without_secret,
    "QuotaExceeded": over_quota,
}


def waits(reason: str) -> Play:
    play = Play()
    play.step()
    WAITS[reason](play)
    play.step(3)
    assert play.condition("Prepared")["reason"] == reason
    return play


@pytest.mark.parametrize("reason", WAITS)
def test_a_warning_comes_only_for_what_lasts(reason: str) -> None:
    play = waits(reason)
    assert reason not in play.reasons()
    for _ in range(LASTS_SECONDS // 3):
        assert reason not in play.reasons()
        play.step(3)
    assert play.reasons().count(reason) == 1
    assert next(event for event in play.events if event.reason == reason).kind == "Warning"


@pytest.mark.parametrize("reason", WAITS)
def test_the_operator_wakes_up_when_the_wait_has_lasted(reason: str) -> None:
    play = Play()
    play.step()
    WAITS[reason](play)
    asked = play.step(3).requeue_after
    assert asked is not None
    assert asked <= LASTS_SECONDS


def test_a_second_without_room_makes_no_warning() -> None:
    """As while the pod before it ends."""
    play = waits("PodUnschedulable")
    play.start_pod("tire-prep-1")
    play.step(1)
    for _ in range(10):
        play.step(10)
    assert not [event for event in play.events if event.kind == "Warning"]


@pytest.mark.parametrize("reason", ["PodUnschedulable", "QuotaExceeded"])
def test_a_restart_neither_repeats_nor_loses_the_warning(reason: str) -> None:
    """The Event has its name from the beginning of the wait, which is in the status: it is the same one."""
    play = waits(reason)
    play.step(12)
    play.restart(SETTINGS)
    play.step(5)
    (first,) = (event for event in play.events if event.reason == reason)
    play.restart(SETTINGS)
    again = play.step(3600).draft.events
    assert [(event.reason, event.wait_since) for event in again] == [(reason, first.wait_since)]


def test_another_wait_has_a_warning_of_its_own() -> None:
    play = waits("QuotaExceeded")
    play.step(20)
    play.hints = {}
    unscheduled(play)
    play.step(1)
    assert play.reasons().count("PodUnschedulable") == 0
    play.step(16)
    play.pods.clear()
    over_quota(play)
    play.step(1)
    play.step(16)
    assert [r for r in play.reasons() if r in WAITS] == ["QuotaExceeded", "PodUnschedulable", "QuotaExceeded"]


def pretrained(name: str) -> Any:
    return a_run().spec(model={"pretrained": {"run": name}})


@pytest.mark.parametrize(("exists", "kind"), [(False, "Warning"), (True, "Normal")])
def test_a_run_that_waits_for_another_is_a_warning_only_if_there_is_none(*, exists: bool, kind: str) -> None:
    play = Play(pretrained("base"))
    if exists:
        play.others = {"default/base": a_run("base").build()}
    play.step()
    assert play.events == []
    play.step(10)
    play.step(6)
    assert [event.kind for event in play.events] == [kind]


def test_every_pod_waits_for_its_node_and_its_containers() -> None:
    assert {reason.name for reason in OF_EVERY_POD} == {"PodPending", "ContainerCreating"}
    play = Play()
    play.play_to(Stage.TRAIN)
    play.start_pod("tire-train-1", phase="Pending", containers={}, scheduled_at="")
    for _ in range(10):
        play.step(20)
    assert not [event for event in play.events if event.kind == "Warning"]


def test_a_job_that_a_queue_has_suspended_is_no_warning() -> None:
    play = Play()
    play.step()
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], suspended=True)
    assert play.step(1).requeue_after == LASTS_SECONDS
    assert play.step(LASTS_SECONDS).requeue_after is None  # the watch of the Job shows the end of the wait
    assert [(event.kind, event.reason) for event in play.events][-1] == ("Normal", "JobSuspended")
