"""The fault proxy on the wire: what an operator gets for each fault, and what the API server gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from trchaosfleet.proxy import FaultProxy
from trchaosfleet.weather import Call, Fault

pytestmark = pytest.mark.contract
JOBS = "/apis/batch/v1/namespaces/vision/jobs"
WATCH = f"{JOBS}?watch=true&resourceVersion=7"
LINE = {"type": "ADDED", "object": {"metadata": {"name": "tire-prep-1"}}}


@dataclass
class Script:
    """Faults in their order; sees what is forwarded."""

    faults: list[Fault | None] = field(default_factory=list)
    in_watch: Fault | None = None
    sent: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def fault_for(self, call: Call) -> Fault | None:
        return self.faults.pop(0) if self.faults else None

    def fault_of_watch(self, call: Call) -> Fault | None:
        return self.in_watch

    def sends(self, call: Call, body: bytes) -> None:
        self.sent.append(f"{call.method} {call.path} {body.decode()}".strip())

    def answered(self, call: Call, body: bytes, status: int) -> None:
        self.statuses.append(status)


@dataclass
class Upstream:
    """A server in place of the API server; `more` lets its watch go on."""

    requests: list[web.Request] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.query.get("watch") != "true":
            text = (await request.read()).decode()
            return web.json_response({"path": request.path_qs, "body": text}, status=201, headers={"Audit-Id": "x"})
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(json.dumps(LINE).encode() + b"\n")
        await self.more.wait()
        await response.write(json.dumps(LINE).encode() + b"\n")
        return response


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    server = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    server.more.set()
    await runner.cleanup()


@dataclass
class Setting:
    """A proxy with its faults, its server, and a client of it."""

    script: Script
    server: Upstream
    proxy: FaultProxy
    client: aiohttp.ClientSession

    def ask(self, method: str = "GET", path: str = JOBS, **options: Any) -> Any:
        return self.client.request(method, URL(f"http://127.0.0.1:{self.proxy.port}{path}", encoded=True), **options)


@pytest.fixture
async def setting(upstream: tuple[Upstream, str]) -> AsyncIterator[Setting]:
    server, address = upstream
    script = Script()
    client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
    async with FaultProxy("one", address, tls=None, faults=script, sees=script) as proxy, client:
        yield Setting(script, server, proxy, client)


async def test_a_request_reaches_the_server_as_it_was_sent(setting: Setting) -> None:
    path, headers = f"{JOBS}?fieldManager=a%2Fb", {"Authorization": "Bearer t", "Content-Type": "application/json"}
    async with setting.ask("POST", path, data=b"{}", headers=headers) as answer:
        assert answer.status == 201
        assert answer.headers["Audit-Id"] == "x"
        assert await answer.json() == {"path": path, "body": "{}"}
    (request,) = setting.server.requests
    assert request.headers["Authorization"] == "Bearer t"
    assert request.headers["Content-Type"] == "application/json"
    assert request.raw_path == path
    assert setting.script.sent == [f"POST {JOBS} {{}}"]
    assert setting.script.statuses == [201]


@pytest.mark.parametrize(
    ("fault", "reason", "retry_after"),
    [
        (Fault("5xx", status=503), "InternalError", None),
        (Fault("429", status=429), "TooManyRequests", "1"),
        (Fault("409", status=409), "Conflict", None),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_a_refused_request_never_reaches_the_server(
    setting: Setting, fault: Fault, reason: str, retry_after: str | None
) -> None:
    setting.script.faults = [fault]
    async with setting.ask("POST") as answer:
        assert answer.status == fault.status
        assert answer.headers.get("Retry-After") == retry_after
        assert (await answer.json())["reason"] == reason
    assert setting.server.requests == []


async def test_a_reset_comes_before_the_request_is_forwarded(setting: Setting) -> None:
    setting.script.faults = [Fault("reset")]
    with pytest.raises(aiohttp.ClientError):
        await setting.ask("POST")
    assert setting.server.requests == []


async def test_a_lost_answer_comes_after_the_request_took_effect(setting: Setting) -> None:
    setting.script.faults = [Fault("lost")]
    with pytest.raises(aiohttp.ClientError):
        await setting.ask("POST")
    assert [request.method for request in setting.server.requests] == ["POST"]
    assert setting.script.statuses == [201]


async def test_a_slow_request_that_is_given_up_is_not_forwarded(setting: Setting) -> None:
    setting.script.faults = [Fault("slow", seconds=60)]
    with pytest.raises(TimeoutError):
        await setting.ask("POST", timeout=aiohttp.ClientTimeout(total=0.3))
    async with setting.ask("POST") as answer:
        assert answer.status == 201
    assert len(setting.server.requests) == 1


async def test_the_moment_between_a_write_and_its_answer_is_told(setting: Setting) -> None:
    seen: list[int] = []
    setting.proxy.at_next_write = lambda: seen.append(len(setting.server.requests))
    async with setting.ask("GET"):
        pass
    assert seen == []
    async with setting.ask("PATCH"):
        pass
    assert seen == [2]


async def test_a_watch_is_passed_on_line_by_line(setting: Setting) -> None:
    async with setting.ask(path=WATCH) as answer:
        assert json.loads(await answer.content.readline()) == LINE
        setting.server.more.set()
        assert json.loads(await answer.content.readline()) == LINE
        assert await answer.content.readline() == b""


async def test_a_watch_is_cut_in_the_middle_of_a_line(setting: Setting) -> None:
    async with setting.ask(path=WATCH) as answer:
        assert json.loads(await answer.content.readline()) == LINE
        setting.script.in_watch = Fault("watch cut")
        setting.server.more.set()
        with pytest.raises(aiohttp.ClientError):
            await answer.content.readline()


@pytest.mark.parametrize("is_open", [False, True], ids=["at its start", "while it is open"])
async def test_a_watch_expires(setting: Setting, is_open: bool) -> None:
    if not is_open:
        setting.script.faults = [Fault("watch 410")]
    async with setting.ask(path=WATCH) as answer:
        if is_open:
            assert json.loads(await answer.content.readline()) == LINE
            setting.script.in_watch = Fault("watch 410")
            setting.server.more.set()
        event = json.loads(await answer.content.readline())
        assert event["type"] == "ERROR"
        assert event["object"]["code"] == 410
        assert await answer.content.readline() == b""


async def test_a_watch_that_hangs_shows_nothing_and_ends_by_a_reset(setting: Setting) -> None:
    async with setting.ask(path=WATCH) as answer:
        assert json.loads(await answer.content.readline()) == LINE
        setting.script.in_watch = Fault("watch hangs", seconds=0.5)
        setting.server.more.set()
        began = asyncio.get_running_loop().time()
        with pytest.raises(aiohttp.ClientError):
            await answer.content.readline()
        assert asyncio.get_running_loop().time() - began > 0.4


async def test_an_operator_that_is_cut_off_gets_its_answer_after_that(setting: Setting) -> None:
    setting.proxy.cut_off()
    with pytest.raises(TimeoutError):
        await setting.ask("GET", timeout=aiohttp.ClientTimeout(total=0.3))
    assert setting.server.requests == []
    setting.proxy.reconnect()
    async with setting.ask("GET") as answer:
        assert answer.status == 201
