"""A proxy between one operator and the API server that injects faults: HTTP in, TLS out, tokens are passed on.

Invariant: a request either reaches the API server as it was sent, once, or not at all.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, Self

import aiohttp
from aiohttp import web
from yarl import URL

from trchaosfleet.weather import Call, Fault

LARGEST: Final = 16 * 1024 * 1024
_OF_CONNECTION: Final = {"transfer-encoding", "connection", "content-length", "content-encoding", "host", "keep-alive"}
_REASONS: Final = {429: "TooManyRequests", 409: "Conflict", 410: "Expired"}


class Chooser(Protocol):
    """Chooses faults."""

    def fault_for(self, call: Call) -> Fault | None:
        """Return the fault of a request, or None."""

    def fault_of_watch(self, call: Call) -> Fault | None:
        """Return the fault of an open watch, or None."""


class Observer(Protocol):
    """Sees what is forwarded."""

    def sends(self, call: Call, body: bytes) -> None:
        """See a request just before it is forwarded."""

    def answered(self, call: Call, body: bytes, status: int) -> None:
        """See the status of an answer of the API server; `body` is the request's."""


class FaultProxy:
    """Forwards the requests of the operator `name` to the API server at `server`."""

    def __init__(self, name: str, server: str, *, tls: ssl.SSLContext | None, faults: Chooser, sees: Observer) -> None:
        self.name, self._server, self._tls = name, server.rstrip("/"), tls
        self._faults, self._sees = faults, sees
        self._connected = asyncio.Event()
        self._connected.set()
        self.at_next_write: Callable[[], None] | None = None  # called when its answer is there and not passed on yet
        self.port, self.forwarded = 0, 0
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def cut_off(self) -> None:
        """Cut the operator off from the API server: nothing gets an answer."""
        self._connected.clear()

    def reconnect(self) -> None:
        """End that."""
        self._connected.set()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        app = web.Application(client_max_size=LARGEST)
        app.router.add_route("*", "/{anything:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watches = request.query.get("watch") in {"true", "1"}
        call = Call(self.name, request.method, request.path, watches=watches)
        body = await request.read()
        await self._connected.wait()
        fault = self._faults.fault_for(call)
        if fault is not None and fault.kind in {"5xx", "429", "409"}:
            return _refuse(fault.status)
        if fault is not None and fault.kind == "reset":
            return _reset(request)
        if fault is not None and fault.kind == "watch 410":
            return await _expired(request)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds / 2)
        try:
            return await self._forward(request, call, body, fault)
        except (aiohttp.ClientError, ConnectionError):
            return _reset(request)

    async def _forward(self, request: web.Request, call: Call, body: bytes, fault: Fault | None) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_CONNECTION}
        self.forwarded += 1
        self._sees.sends(call, body)
        asked = self._session.request(
            call.method,
            URL(self._server + request.raw_path, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        )
        async with asked as answer:
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_CONNECTION}
            if "Content-Encoding" in answer.headers:
                passed["Content-Encoding"] = answer.headers["Content-Encoding"]
            if call.watches and answer.status == 200:
                return await self._stream(request, call, answer, passed, fault)
            data = await answer.read()
        self._sees.answered(call, body, answer.status)
        if self.at_next_write is not None and call.writes:
            self.at_next_write()
        if fault is not None and fault.kind == "lost":
            return _reset(request)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds / 2)
        return web.Response(status=answer.status, body=data, headers=passed)

    async def _stream(
        self,
        request: web.Request,
        call: Call,
        answer: aiohttp.ClientResponse,
        headers: Mapping[str, str],
        fault: Fault | None,
    ) -> web.StreamResponse:
        """Pass on the lines of a watch until one of its sides, or a fault, ends it."""
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        async for line in _lines(answer.content):
            await self._connected.wait()
            fault = fault or self._faults.fault_of_watch(call)
            if fault is not None and fault.kind == "watch hangs":
                await asyncio.sleep(fault.seconds)
                return _reset(request)
            if fault is not None and fault.kind == "watch cut":
                await response.write(line[: len(line) // 2])
                return _reset(request)
            if fault is not None and fault.kind == "watch 410":
                await response.write(_EXPIRED_EVENT)
                break
            await response.write(line)
        with suppress(ConnectionError):
            await response.write_eof()
        return response


async def _lines(content: aiohttp.StreamReader) -> Any:
    """Yield the lines of a watch as soon as each is complete, however long it is."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"


def _status(code: int) -> dict[str, Any]:
    reason = _REASONS.get(code, "InternalError")
    message = "injected fault"
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _refuse(code: int) -> web.Response:
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response(_status(code), status=code, headers=headers)


_EXPIRED_EVENT: Final = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired",'
    b'"message":"too old resource version"}}\n'
)


async def _expired(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(_EXPIRED_EVENT)
    await response.write_eof()
    return response


def _reset(request: web.Request) -> web.Response:
    """End the connection with a TCP reset, as a crashed server or a load balancer does."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
