"""Which runs wait for room that a TensorBoard may hold, and who has one without running."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.domain.crowd import has_idle_board, waits_for_room
from trainingrun.domain.draft import MAX_CAUSE
from trainingrun.domain.waiting import cause_of
from trfakes.builders import a_job, a_pod, a_run, after

TAIL = ". no new claims to deallocate, preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling."


def waits(*, unschedulable: str = "", hint: str = "") -> Any:
    """A run whose condition has what the operator writes about a pod that has no room."""
    pod = a_pod(unschedulable=unschedulable) if unschedulable else None
    cause = cause_of(a_job(), pod, hints={"job-prep-1": hint}, now=after(60))
    builder = a_run().condition("Prepared", "False", reason=cause.reason.name)
    run = builder.build()
    run.status["conditions"][0]["message"] = cause.text(MAX_CAUSE)
    return run


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ("1 Insufficient cpu", True),
        ("1 Insufficient memory, 2 Insufficient nvidia.com/gpu", True),
        ("1 Too many pods", True),
        ("1 Insufficient nvidia.com/gpu", False),
        ("3 node(s) didn't match Pod's node affinity/selector", False),
        ("9 node(s) had untolerated taint {" + "a" * 300 + "}", True),
    ],
    ids=["cpu", "memory and GPU", "pods", "GPU", "selector", "cut off"],
)
def test_who_lacks_room_on_nodes(lacking: str, *, expected: bool) -> None:
    assert waits_for_room(waits(unschedulable=f"0/9 nodes are available: {lacking}{TAIL}")) is expected


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("requests.cpu=1", True),
        ("pods=1", True),
        ("requests.nvidia.com/gpu=1", False),
        ("requests.cpu=1,requests.nvidia.com/gpu=1", True),
        ("a" * 400, True),
    ],
    ids=["cpu", "pods", "GPU", "cpu and GPU", "cut off"],
)
def test_who_lacks_room_in_the_quota(requested: str, *, expected: bool) -> None:
    text = f'FailedCreate: pods "x" is forbidden: exceeded quota: team, requested: {requested}, used: {requested}'
    assert waits_for_room(waits(hint=text)) is expected


@pytest.mark.parametrize("why", ["suspended", "finished", "runs"])
def test_who_does_not_wait(why: str) -> None:
    builder = a_run().condition("Trained", "False", reason="Running" if why == "runs" else "QuotaExceeded")
    builder = builder.condition("Finished") if why == "finished" else builder.spec(suspend=why == "suspended")
    assert not waits_for_room(builder.build())


def test_a_tensorboard_is_idle_while_its_run_does_not_run() -> None:
    board = {"serviceName": "tire-tensorboard"}
    assert not has_idle_board(a_run().status(tensorboard=board).build())
    assert has_idle_board(a_run().status(tensorboard=board).spec(suspend=True).build())
    finished = a_run().condition("Finished").status(finishedAt=clock.to_text(after(0)))
    assert has_idle_board(finished.status(tensorboard=board).build())
    assert not has_idle_board(finished.status(tensorboard={"yields": 1}).build())
