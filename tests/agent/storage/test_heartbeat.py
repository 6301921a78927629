"""Whether storage answers is known within seconds in every stage, also while nothing else is asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from memory_store import MemoryStore
from trainingrun_agent.errors import NotFound, StorageOutage, StorageRefused
from trainingrun_agent.reasons.storage import ACCESS_DENIED, ENDPOINT_UNREACHABLE, SERVER_ERROR
from trainingrun_agent.storage.client import HEARTBEAT, WORK
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.storage.heartbeat import TURN_SECONDS, Heartbeat

pytestmark = pytest.mark.contract
KEY = "runs/team/tire/run.json"


class Server:
    """A server that takes `takes` seconds for each answer, as seen by clients with different time-outs."""

    def __init__(self, clock: Any) -> None:
        self.clock, self.takes = clock, 0.0
        self.error: Exception | None = None
        self.asked: list[str] = []

    def client(self, name: str, limit: float) -> Any:
        server = self

        class Client(MemoryStore):
            def get_range(self, key: str, *, start: int, length: int) -> bytes:
                server.asked.append(name)
                server.clock.sleep(min(server.takes, limit))
                if server.takes > limit:
                    answer = "no answer in time"
                    raise StorageOutage(ENDPOINT_UNREACHABLE, call="GetObject", where=key, answer=answer)
                if server.error is not None:
                    raise server.error
                return b"{"

        return Client


@pytest.fixture
def server(fake_clock: Any) -> Server:
    return Server(fake_clock)


@pytest.fixture
def shown(fake_clock: Any) -> list[tuple[float, str]]:
    """What was shown of storage, and when."""
    return []


@pytest.fixture
def health(fake_clock: Any, shown: list[tuple[float, str]]) -> StorageHealth:
    return StorageHealth(
        lambda wrong: shown.append((fake_clock.seconds, wrong.reason if wrong else "")), clock=fake_clock
    )


@pytest.fixture
def heartbeat(fake_clock: Any, server: Server, health: StorageHealth) -> Heartbeat:
    quick, patient = server.client("quick", HEARTBEAT.read), server.client("patient", WORK.read)
    return Heartbeat(KEY, quick=quick, patient=patient, health=health, clock=fake_clock)


def wait(heartbeat: Heartbeat, clock: Any, seconds: float) -> None:
    until = clock.seconds + seconds
    while clock.seconds < until:
        heartbeat.turn()
        clock.sleep(TURN_SECONDS)


def test_a_hang_shows_within_nine_seconds_and_so_does_its_end(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, shown: list[tuple[float, str]]
) -> None:
    wait(heartbeat, fake_clock, 60)
    assert shown == []
    began, server.takes = fake_clock.seconds, 1e9
    wait(heartbeat, fake_clock, 80)
    ended, server.takes = fake_clock.seconds, 0.0
    wait(heartbeat, fake_clock, 20)
    assert [reason for _, reason in shown] == ["EndpointUnreachable", ""]
    assert shown[0][0] - began <= 9
    assert shown[1][0] - ended <= 9


def test_storage_is_not_asked_while_others_hear_of_it(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, health: StorageHealth
) -> None:
    for _ in range(20):
        wait(heartbeat, fake_clock, 2)
        health.answered("writes")
        wait(heartbeat, fake_clock, 2)
        health.moved()
    assert server.asked == []
    wait(heartbeat, fake_clock, 30)
    assert 8 <= len(server.asked) <= 10


def test_a_request_that_waits_behind_the_bytes_of_others_is_no_outage(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, health: StorageHealth, shown: list[tuple[float, str]]
) -> None:
    fake_clock.sleep(3)
    server.takes = 1e9
    sleep = fake_clock.sleep
    fake_clock.sleep = lambda seconds: (sleep(seconds), health.moved())
    heartbeat.turn()
    assert (server.asked, shown) == (["quick"], [])


def test_a_slow_server_is_no_outage_once_it_has_answered(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, health: StorageHealth, shown: list[tuple[float, str]]
) -> None:
    server.takes = 20
    wait(heartbeat, fake_clock, 18)
    health.answered("reads", seconds=20)  # the call that the stage was waiting for
    assert [reason for _, reason in shown] == ["EndpointUnreachable", ""]
    server.asked.clear()
    wait(heartbeat, fake_clock, 100)
    assert set(server.asked) == {"patient"}
    assert len(shown) == 2
    server.takes = 0.1
    server.asked.clear()
    wait(heartbeat, fake_clock, 20)
    assert server.asked[0] == "patient"
    assert set(server.asked[1:]) == {"quick"}


def test_a_refusal_shows_with_its_reason_and_is_taken_back(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, shown: list[tuple[float, str]]
) -> None:
    wait(heartbeat, fake_clock, 5)
    server.error = StorageRefused(ACCESS_DENIED, call="GetObject", where=KEY, answer="403")
    wait(heartbeat, fake_clock, 20)
    server.error = NotFound(call="GetObject", where=KEY, answer="404")  # an answer: preparation has not written it yet
    wait(heartbeat, fake_clock, 20)
    assert [reason for _, reason in shown] == ["AccessDenied", ""]


def test_a_refusal_of_what_never_worked_is_not_told_as_one_of_what_did(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, shown: list[tuple[float, str]]
) -> None:
    """The first call of the work hangs, and would end the attempt: nothing goes on, and nothing worked before."""
    server.error = StorageRefused(ACCESS_DENIED, call="GetObject", where=KEY, answer="403")
    wait(heartbeat, fake_clock, 20)
    assert shown == []


def test_a_hang_that_outlasts_the_stage_is_not_shown(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, shown: list[tuple[float, str]]
) -> None:
    fake_clock.sleep(3)
    server.takes = 1e9
    heartbeat.__exit__()
    heartbeat.turn()
    assert (server.asked, shown) == (["quick"], [])


def test_reads_that_succeed_do_not_hide_writes_that_fail(
    heartbeat: Heartbeat, fake_clock: Any, health: StorageHealth, shown: list[tuple[float, str]]
) -> None:
    health.failed("writes of b", StorageOutage(SERVER_ERROR, call="PutObject", where="k", answer="503"))
    wait(heartbeat, fake_clock, 10)
    health.answered("reads of b")
    assert [reason for _, reason in shown] == ["ServerError"]
    health.answered("writes of b")
    assert [reason for _, reason in shown] == ["ServerError", ""]


def test_what_the_work_was_told_is_not_replaced(
    heartbeat: Heartbeat, fake_clock: Any, server: Server, health: StorageHealth, shown: list[tuple[float, str]]
) -> None:
    health.failed("writes of b", StorageOutage(SERVER_ERROR, call="PutObject", where="k", answer="503"))
    server.error = StorageRefused(ACCESS_DENIED, call="GetObject", where=KEY, answer="403")
    wait(heartbeat, fake_clock, 20)
    assert [reason for _, reason in shown] == ["ServerError"]
