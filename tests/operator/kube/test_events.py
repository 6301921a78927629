"""Events about a run: posted without holding anyone up, once in a while each, and dropped when nobody takes them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from trainingrun.api.clock import Clock
from trainingrun.domain.draft import Event
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError, KubeError
from trainingrun.kube.events import MAX_WAITING, QUIET_SECONDS, Recorder
from trfakes.builders import a_run
from trfakes.harness import eventually

RUN = a_run().build()
NOW = "2026-01-01T00:00:00Z"


class FakeApi:
    """Takes Events, or fails with `error`; never answers while `open` is not set."""

    def __init__(self, error: KubeError | None = None) -> None:
        self.posted: list[str] = []
        self.names: set[str] = set()
        self.error = error
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, _method: str, _path: str, *, body: dict[str, Any]) -> None:
        await self.open.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if body["metadata"]["name"] in self.names:
            raise ConflictError("exists", status=409)
        self.names.add(body["metadata"]["name"])
        self.posted.append(body["message"])


async def post(recorder: Recorder) -> None:
    task = asyncio.create_task(recorder.post_all())
    await eventually(recorder._waiting.empty)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def emit(recorder: Recorder, *messages: str) -> None:
    for message in messages:
        recorder.emit(RUN, Event("Normal", "Accepted", message), now=NOW)


async def test_no_two_events_of_a_run_have_the_same_text() -> None:
    """The API server keeps an Event for an hour: `kubectl describe` would show both."""
    api, clock = FakeApi(), [0.0]
    recorder = Recorder(cast("Api", api), clock=Clock(monotonic=lambda: clock[0]))
    emit(recorder, "one", "two", "one")
    clock[0] = QUIET_SECONDS - 1
    recorder.emit(RUN, Event("Warning", "Other", "one"), now=NOW)
    clock[0] = QUIET_SECONDS
    emit(recorder, "one")
    await post(recorder)
    assert api.posted == ["one", "two", "one"]


async def test_an_event_that_is_refused_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi(KubeError("no"))
    recorder = Recorder(cast("Api", api))
    emit(recorder, "one", "two")
    await post(recorder)
    assert api.posted == ["two"]
    assert "event Accepted for default/tire was refused: no" in caplog.text


async def test_events_that_nobody_takes_do_not_fill_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi()
    recorder = Recorder(cast("Api", api))
    emit(recorder, *(f"event {number}" for number in range(MAX_WAITING + 5)))
    assert caplog.text.count("was dropped") == 5
    await post(recorder)
    assert len(api.posted) == MAX_WAITING


def waits(reason: str, message: str, *, since: str = NOW) -> Event:
    return Event("Warning", reason, message, wait_since=since)


async def test_the_event_of_a_wait_is_posted_once_also_by_the_next_operator(caplog: pytest.LogCaptureFixture) -> None:
    api, clock = FakeApi(), [0.0]
    for _ in range(2):
        recorder = Recorder(cast("Api", api), clock=Clock(monotonic=lambda: clock[0]))
        for message in ("2 are lacking", "1 is lacking"):
            clock[0] += 10 * QUIET_SECONDS
            recorder.emit(RUN, waits("PodUnschedulable", message), now=NOW)
        await post(recorder)
    assert api.posted == ["2 are lacking"]
    assert "refused" not in caplog.text


async def test_each_wait_has_an_event_of_its_own() -> None:
    api = FakeApi()
    recorder = Recorder(cast("Api", api))
    for event in (waits("A", "1"), waits("B", "2"), waits("A", "3", since="2026-01-01T00:05:00Z")):
        recorder.emit(RUN, event, now=NOW)
    await post(recorder)
    assert api.posted == ["1", "2", "3"]
    assert len({len(name) for name in api.names}) == 1  # they are listed by name, in the order of time
