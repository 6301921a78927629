"""Which requests fail: windows by time, kind and share, and watches that are told to hang."""

from __future__ import annotations

import random

import pytest

from trchaosfleet.weather import Call, Weather, Window

READ, WRITE = Call("one", "GET", "/api/v1/namespaces/a/pods"), Call("one", "PATCH", "/apis/x/v1/namespaces/a/jobs/b")
WATCH = Call("one", "GET", "/api/v1/namespaces/a/pods", watches=True)


@pytest.mark.parametrize(
    ("kind", "call", "hits"),
    [
        ("5xx", READ, True),
        ("5xx", WATCH, False),
        ("watch cut", WATCH, True),
        ("watch cut", READ, False),
        ("409", WRITE, True),
        ("409", READ, False),
    ],
)
def test_a_window_is_about_its_kind_of_request(kind: str, call: Call, hits: bool) -> None:
    weather = Weather([Window(1.0, 2.0, kind, 1.0)], random.Random(1), lambda: 1.5)
    assert (weather.fault_for(call) is not None) == hits
    assert weather.injected == ({kind: 1} if hits else {})


@pytest.mark.parametrize(("moment", "hits"), [(0.9, False), (1.0, True), (2.0, False)])
def test_a_window_has_a_begin_and_an_end(moment: float, hits: bool) -> None:
    weather = Weather([Window(1.0, 2.0, "reset", 1.0)], random.Random(1), lambda: moment)
    assert (weather.fault_for(READ) is not None) == hits


def test_a_share_of_the_requests_fails() -> None:
    weather = Weather([Window(0.0, 2.0, "reset", 0.25)], random.Random(1), lambda: 1.0)
    for _ in range(1000):
        weather.fault_for(READ)
    assert weather.injected["reset"] == pytest.approx(250, abs=60)


def test_watches_of_one_kind_hang_for_a_while() -> None:
    moment = 0.0
    weather = Weather([], random.Random(1), lambda: moment)
    weather.hang("pods", 3.0)
    moment = 1.0
    fault = weather.fault_of_watch(WATCH)
    assert fault is not None
    assert (fault.kind, fault.seconds) == ("watch hangs", 2.0)
    assert weather.fault_of_watch(Call("one", "GET", "/apis/batch/v1/namespaces/a/jobs", watches=True)) is None
    moment = 3.0
    assert weather.fault_of_watch(WATCH) is None
