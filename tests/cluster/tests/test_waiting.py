"""Waiting: "not there yet" is waited for, other errors end the wait at once, and a time-out shows the last answer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trcluster import ClusterError, waiting
from trcluster.waiting import WaitError, kubectl_wait, patience, until

NULL_CONDITIONS = ".status.conditions accessor error: <nil> is of the type <nil>, expected []interface{}"


class Clock:
    """A clock that moves by sleeping only."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    return made


def test_the_first_true_answer_is_returned(clock: Clock) -> None:
    answers: Iterator[list[str]] = iter([[], [], ["pod"]])
    assert until(lambda: next(answers), what="a pod", seconds=10, every=0.5) == ["pod"]
    assert clock.slept == [0.5, 0.5]


def test_a_timeout_says_what_was_last_seen() -> None:
    with pytest.raises(WaitError, match=r"waited 3 s in vain for a pod; last seen: \[\]"):
        until(list, what="a pod", seconds=3)
    with pytest.raises(WaitError, match="for the end; last seen: step 7"):
        until(lambda: False, what="the end", seconds=3, seen=lambda: "step 7")


def test_an_error_that_means_not_yet_is_waited_out_and_shown_in_the_end() -> None:
    def refused() -> bool:
        raise ConnectionRefusedError("port 7")

    with pytest.raises(WaitError, match="last seen: port 7"):
        until(refused, what="the server", seconds=3, not_yet=(OSError,))
    with pytest.raises(ConnectionRefusedError):
        until(refused, what="the server", seconds=3, not_yet=(ValueError,))


def test_a_machine_that_stood_still_beyond_the_deadline_gets_a_last_look(clock: Clock) -> None:
    answers = iter([False, True])

    def slow() -> bool:
        clock.now += 100
        return next(answers)

    assert until(slow, what="it", seconds=3)


def test_a_new_definition_without_conditions_is_waited_for() -> None:
    """`kubectl wait --for=condition=Established` fails at once on a CRD that was created a moment ago."""
    calls: list[tuple[str, ...]] = []

    def kubectl(*arguments: str) -> str:
        calls.append(arguments)
        if len(calls) < 3:
            raise ClusterError(NULL_CONDITIONS)
        return "condition met"

    kubectl_wait(kubectl, "--for=condition=Established", "crd/trainingruns", seconds=60)
    assert calls == [("wait", "--for=condition=Established", "crd/trainingruns", "--timeout=5s")] * 3


def test_a_wait_that_ends_in_vain_shows_what_kubectl_said() -> None:
    def kubectl(*_arguments: str) -> str:
        raise ClusterError("no matching resources found")

    with pytest.raises(WaitError, match="for kubectl wait --for=delete pod/a; last seen: no matching resources found"):
        kubectl_wait(kubectl, "--for=delete", "pod/a", seconds=3)


@pytest.mark.parametrize(
    ("load", "limit"), [(0.3, 20), (2.0, 20), (5.0, 50), (99.0, 80)], ids=["idle", "full", "queue", "hopeless"]
)
def test_limits_rise_while_processes_queue_for_the_cores(
    monkeypatch: pytest.MonkeyPatch, load: float, limit: float
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert patience(20) == limit
