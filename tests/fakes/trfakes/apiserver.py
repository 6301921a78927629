"""A fake Kubernetes API server over HTTP: discovery, list, watch, create, merge patch, delete, logs, injected faults.

It implements what the operator's safety depends on: resource versions as preconditions, 409 for a name that exists,
status as a subresource, 410 for a watch older than the compaction. Tests change objects through `store`, never over
HTTP, so `requests` holds only the operator's requests.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from trfakes.answers import PATH, Answers, watch_event
from trfakes.store import Change, Store

TOKEN = "canary-token-of-the-operator"


@dataclass(frozen=True)
class Request:
    """One request of the operator and the status of its answer (0: the connection was closed)."""

    method: str
    path: str
    status: int
    agent: str = ""  # header User-Agent
    manager: str = ""  # the field manager of a write

    @property
    def writes(self) -> bool:
        return self.method != "GET"


@dataclass
class Fault:
    """Fail `times` matching requests, after letting `skip` of them pass."""

    method: str
    path: str  # regular expression
    status: int = 500  # 0 closes the connection
    after: bool = False  # the request takes effect and only its answer is lost
    skip: int = 0
    times: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)  # fields of the Status that is answered
    late: asyncio.Event | None = None  # nothing fails, but the answer comes only once this is set

    def hits(self, method: str, path: str) -> bool:
        if method != self.method or not re.search(self.path, path) or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class ApiServer:
    """Serves one store over HTTP on a loopback address."""

    def __init__(self, store: Store) -> None:
        self.store, self.answers = store, Answers(store)
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.refused: dict[str, int] = {}  # by namespace ("" for the whole cluster): 403 is forbidden, 404 is missing
        self.behind: set[str] = set()  # kinds (plural) whose watches show nothing until `catch_up`
        self._held: list[Change] = []
        self.dead = False  # closes all connections, so the operator works like a killed process
        self.die_after_writes: int | None = None
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._watches: set[asyncio.Queue[Change | None]] = set()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{anything:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.store.listeners.append(self._publish)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end_watches()
        assert self._runner is not None
        await self._runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig for this server; returns its path."""
        file = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "fake", "user": {"token": TOKEN}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
        file.write_text(yaml.safe_dump(document))
        return file

    def writes(self, pattern: str = "") -> list[Request]:
        """Requests so far that write, except those to Leases."""
        return [r for r in self.requests if r.writes and "/leases" not in r.path and re.search(pattern, r.path)]

    def created(self, plural: str) -> list[Request]:
        """Requests that created an object of a kind."""
        return [r for r in self.requests if r.method == "POST" and r.path.endswith(plural) and r.status == 201]

    def end_watches(self) -> None:
        """Close every watch, as a restarted API server does."""
        for queue in self._watches:
            queue.put_nowait(None)

    def catch_up(self) -> None:
        """Let the watches show what they were behind with."""
        held, self._held = self._held, []
        self.behind.clear()
        for change in held:
            self._publish(change)

    def _publish(self, change: Change) -> None:
        if change.plural in self.behind:
            self._held.append(change)
            return
        for queue in self._watches:
            queue.put_nowait(change)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.dead:
            return self._cut(request)
        where = PATH.match(request.path)
        status = self.refused.get(where["namespace"] or "") if where is not None else None
        lists = where is not None and request.method == "GET" and where["name"] is None
        if status == 403 or (status == 404 and not lists):  # in a namespace that is missing, lists are only empty
            return self._fail(request, Fault(request.method, request.path, status))
        if request.query.get("watch") == "true":
            return await self._watch(request)
        body = json.loads(await request.read() or b"{}")
        fault = next((f for f in self.faults if f.hits(request.method, request.path)), None)
        if fault is not None and not (fault.after or fault.late):
            return self._fail(request, fault)
        code, answer = self.answers.to(request.method, request.path, query=request.query, body=body)
        if fault is not None and fault.late:
            await fault.late.wait()
        elif fault is not None:
            return self._fail(request, fault)
        self._record(request, code)
        return web.Response(text=answer) if isinstance(answer, str) else web.json_response(answer, status=code)

    def _record(self, request: web.Request, code: int) -> None:
        agent, manager = request.headers.get("User-Agent", ""), request.query.get("fieldManager", "")
        self.requests.append(Request(request.method, request.path, code, agent, manager))
        if self.die_after_writes is not None and len(self.writes()) >= self.die_after_writes:
            self.dead = True

    def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        self._record(request, fault.status)
        if not fault.status:
            return self._cut(request)
        body = {"kind": "Status", "code": fault.status, "message": "injected fault", **fault.answer}
        return web.json_response(body, status=fault.status, headers=dict(fault.headers))

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        found = PATH.match(request.path)
        assert found is not None
        plural, selector = found["plural"], request.query.get("labelSelector", "")
        since = int(request.query.get("resourceVersion", 0))
        agent = request.headers.get("User-Agent", "")
        self.requests.append(Request("GET", f"{request.path}?watch&{selector}", 200, agent))
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._watches.add(queue)
        missed = [change for change in self.store.history if change.version > since]
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            if since < self.store.compacted:
                gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
                await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                return response
            for change in missed:
                await _send(response, change, plural=plural, namespace=found["namespace"], selector=selector)
            while (next_change := await queue.get()) is not None and not self.dead:
                await _send(response, next_change, plural=plural, namespace=found["namespace"], selector=selector)
            await response.write_eof()
        except ConnectionError:
            pass  # the operator has ended
        finally:
            self._watches.discard(queue)
        return response


async def _send(
    response: web.StreamResponse, change: Change, *, plural: str, namespace: str | None, selector: str
) -> None:
    line = watch_event(change, plural=plural, namespace=namespace, selector=selector)
    if line is not None:
        await response.write(json.dumps(line).encode() + b"\n")
