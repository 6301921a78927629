"""Run operators inside the test process, against a fake API server and a fake cluster, and wait for their effects.

Each operator runs in a thread with its own event loop, because kopf cancels all tasks of the loop when it ends.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import kopf
from aiohttp import web

from trainingrun.api.names import CLUSTER_LEASE
from trainingrun.api.settings import Settings
from trainingrun.engine.operator import Operator
from trainingrun.handlers import make_registry
from trfakes.apiserver import ApiServer
from trfakes.fake_cluster import FakeCluster
from trfakes.store import Object, Store

POLL_SECONDS = 0.02
PATIENCE = 60.0  # seconds on a busy machine; on an idle one nothing takes ten


async def eventually(
    condition: Callable[[], Any], *, within: float = PATIENCE, what: str = "", seen: Callable[[], Any] | None = None
) -> Any:
    """Wait until the condition holds and return its value; fails after `within` seconds, showing what was `seen`."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        late = asyncio.get_running_loop().time() >= deadline
        if value := condition():
            return value
        last = seen() if seen else value
        assert not late, f"not within {within} s: {what or condition}; last seen: {last}"
        await asyncio.sleep(POLL_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A running operator."""

    operator: Operator
    port: int
    stop_flag: threading.Event
    task: asyncio.Future[None]

    async def stop(self) -> None:
        self.stop_flag.set()
        await asyncio.wait_for(self.task, PATIENCE)


@dataclass
class World:
    """A fake API server, a fake cluster that runs Jobs, and the operators started so far."""

    server: ApiServer
    store: Store
    cluster: FakeCluster
    settings: Settings
    operators: list[Running] = field(default_factory=list)

    async def start_operator(self, *, agent_port: int = 8080, wait: bool = True, **settings: Any) -> Running:
        port = free_port()
        wanted = replace(self.settings, port=port, **settings)
        operator = Operator(wanted, agent_port=agent_port)
        stop_flag = threading.Event()
        work = kopf.operator(
            registry=make_registry(operator),
            standalone=True,
            clusterwide=not wanted.namespaces,
            namespaces=wanted.namespaces,
            stop_flag=stop_flag,
        )
        thread = asyncio.get_running_loop().run_in_executor(None, asyncio.run, work)
        running = Running(operator, port, stop_flag, thread)
        self.operators.append(running)
        if wait:
            await eventually(lambda: operator.serving or running.task.done(), what="the operator serves")
            if running.task.done():
                running.task.result()
        return running

    async def replace_operator(self, **settings: Any) -> Running:
        await self.operators[-1].stop()
        self.server.dead, self.server.die_after_writes = False, None
        self.store.objects.pop(("leases", "kube-system", CLUSTER_LEASE), None)
        return await self.start_operator(**settings)

    def run(self, name: str = "tire") -> Object:
        return self.store.get("trainingruns", name)

    def status(self, name: str = "tire") -> dict[str, Any]:
        status: dict[str, Any] = self.run(name).get("status") or {}
        return status

    def progress(self, name: str = "tire") -> dict[str, Any]:
        progress: dict[str, Any] = self.status(name).get("progress") or {}
        return progress

    def condition(self, kind: str, name: str = "tire") -> dict[str, Any]:
        conditions = self.status(name).get("conditions") or []
        return next((c for c in conditions if c["type"] == kind), {})

    def attempts(self, stage: str, name: str = "tire") -> dict[str, Any]:
        return next((a for a in self.status(name).get("attempts") or [] if a["stage"] == stage), {})

    async def finished(self, name: str = "tire") -> dict[str, Any]:
        await eventually(
            lambda: self.condition("Finished", name).get("status") == "True",
            what=f"the end of {name}",
            seen=lambda: self.status(name),
        )
        return self.status(name)

    async def job(self, name: str) -> Object:
        found: Object = await eventually(lambda: self.store.find("jobs", name), what=f"Job {name}")
        return found


@asynccontextmanager
async def agent_on(port: int, document: dict[str, Any]) -> AsyncIterator[None]:
    """A fake agent that serves the current progress."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(document)

    app = web.Application()
    app.router.add_get("/progress", answer)
    agent = web.AppRunner(app, access_log=None)
    await agent.setup()
    await web.TCPSite(agent, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await agent.cleanup()
