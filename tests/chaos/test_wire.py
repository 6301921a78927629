"""The same schedules with kopf and over HTTP: no rule is broken, and runs end and operators call as in the model."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from trchaos.execution import Report, execute
from trchaos.loop import StuckError
from trchaos.schedule import Fault, RunPlan, Schedule, make
from trchaos.server import Request
from trchaos.trace import Trace
from trchaos.wire import table
from trchaos.wire_comparison import Comparison, Seen, compare
from trchaos.wire_loop import run_wire
from trchaos.wire_process import WireWorld
from trchaos.world import World

RACES = {"document forged", "document replaced", "foreign object"}  # who is first, decides how the run ends
SEEDS = (0, 3, 7, 9, 14, 19, 26, 30, 34, 46)  # short ones with one end of each run


@pytest.mark.parametrize("seed", SEEDS)
def test_the_model_explains_what_happens_over_http(seed: int) -> None:
    schedule = make(seed)
    found = compare(schedule, models=3)
    assert found.report.violations == []
    if not RACES & {fault.kind for fault in schedule.faults}:
        assert found.differences == []


class _Calls(Trace):
    """All calls, and the world."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Request] = []

    def watch(self, world: World) -> None:
        super().watch(world)
        self.world = world
        world.server.listeners.append(self.calls.append)


def test_nothing_reaches_the_server_from_an_operator_that_was_killed() -> None:
    values = {"calls": 3, "before": False, "reads": False, "back": 20.0}
    trace = _Calls()
    schedule = Schedule(5, (RunPlan("run-0"),), (Fault(30.0, "operator killed", values),))
    report = execute(schedule, trace=trace, make_world=WireWorld, run=run_wire)
    assert report.violations == []
    last = max(call.at for call in trace.calls if call.client == "operator-0")
    first = min(call.at for call in trace.calls if call.client == "operator-1")
    assert 20.0 <= first - last < 22.0
    assert "Succeeded=T" in "\n".join(trace.lines)


def test_an_operator_that_is_stopped_gives_its_lease_back() -> None:
    trace = _Calls()
    stop = Fault(30.0, "operator stopped", {"overlap": False, "back": 5.0})
    report = execute(Schedule(6, (RunPlan("run-0"),), (stop,)), trace=trace, make_world=WireWorld, run=run_wire)
    assert report.violations == []
    writes = [call.at for call in trace.calls if call.client == "operator-1" and call.method != "GET"]
    assert writes[0] < 40.0  # without waiting for the end of the Lease


def test_the_clock_jumps_only_when_nothing_is_on_its_way() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line * 10_000)
            await writer.drain()
        writer.close()

    async def talk() -> list[float]:
        loop, took = asyncio.get_running_loop(), []
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(200):
            began = loop.time()
            writer.write(b"x" * 99 + b"\n")
            await asyncio.wait_for(reader.readexactly(1_000_000), timeout=0.1)
            took.append(loop.time() - began)
            await asyncio.sleep(3600)
        writer.close()
        assert await asyncio.wait_for(reader.read(), timeout=0.1) == b""
        server.close()
        return took

    assert max(run_wire(talk())) < 0.1


def test_waiting_for_nothing_is_seen() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError):
        run_wire(wait())


def test_what_the_model_does_not_explain_is_said() -> None:
    model = Seen(calls=Counter({("GET", "jobs"): 10, ("POST", "jobs"): 3}), ends={"default/a": "True Completed"})
    other = Seen(calls=Counter({("GET", "jobs"): 60, ("POST", "jobs"): 3}), ends={"default/a": "False Failed"})
    wire = Seen(calls=Counter({("GET", "jobs"): 100, ("POST", "jobs"): 3}), ends={"default/a": "no end"})
    same = Comparison(Report(1), model, [model, other])
    different = Comparison(Report(1), wire, [model, other])
    assert same.differences == []
    assert different.differences == [
        "default/a ends with no end, in the model with ['False Failed', 'True Completed']",
        "GET jobs: 100 calls, in the model 10 to 60",
    ]
    assert "110, 20 to 120" in table([same, different])
