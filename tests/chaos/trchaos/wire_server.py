"""The modelled API server over HTTP: the same store, cluster and rules, for operators that really connect.

Every operator has a token of its own, by which its calls are told from those of others. What becomes of a call is up
to the model (`server.py`); here it only travels as bytes.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any, Final

from aiohttp import web

from trchaos.server import Client, DroppedError, ModelServer, NotOpenedError, Stream, plural_of
from trfakes.answers import PATH
from trfakes.apiserver import ApiServer
from trfakes.store import Change

BOOKMARK_SECONDS: Final = 60.0
DELIVERY_SECONDS: Final = (0.0, 0.05)
TWICE_SECONDS: Final = (0.0, 2.0)
WATCHES: Final = "/watches"  # ends the token of kopf's calls
FATAL: Final = {
    404,
    409,
}  # for kopf, which ends the process; a server with TrainingRuns answers its watches no such thing


class WireWatch:
    """What the server has of one watch of one operator, whichever connection it has at the moment."""

    def __init__(self, plural: str, namespace: str | None, *, chance: random.Random) -> None:
        self.plural, self._namespace, self._chance = plural, namespace, chance
        self.blocked_until = 0.0  # before, neither listing nor stream gets through
        self.twice = False  # send each event twice, the second time late
        self.stream: Stream | None = None
        self._again: list[Change] = []
        self._deleted: set[str] = set()

    def is_for(self, plural: str, namespace: str | None) -> bool:
        """Whether calls about these objects belong to it."""
        return (plural, namespace) == (self.plural, self._namespace)

    def show_again(self, change: Change) -> None:
        """Show a change that may be older than what was shown already, but nothing of an object after its deletion."""
        if self.stream is not None and change.body["metadata"]["uid"] not in self._deleted:
            self._again.append(change)
            self.stream.offer(change)

    def sent(self, change: Change) -> None:
        """Note that a change was sent."""
        if change.kind == "DELETED":
            self._deleted.add(change.body["metadata"]["uid"])
        if any(change is other for other in self._again):
            self._again = [other for other in self._again if other is not change]
        elif self.twice and change.kind != "DELETED":
            late = self._chance.uniform(*TWICE_SECONDS)
            asyncio.get_running_loop().call_later(late, self.show_again, change)

    async def wait_until_open(self) -> None:
        """Wait until it is not blocked."""
        loop = asyncio.get_running_loop()
        while (left := self.blocked_until - loop.time()) > 0:
            await asyncio.sleep(left)


class WireServer(ApiServer):
    """Serves a modelled server on a loopback address."""

    def __init__(self, model: ModelServer, *, chance: random.Random) -> None:
        super().__init__(model.store)
        self._model, self._chance = model, chance
        self._clients: dict[str, tuple[Client, list[WireWatch]]] = {}
        self._open: dict[str, set[asyncio.Transport]] = {}
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Listen."""
        await self.__aenter__()
        self._started.set_result(None)

    async def url(self) -> str:
        """Where it listens, once it does."""
        await asyncio.shield(self._started)
        return f"http://127.0.0.1:{self.port}"

    def admit(self, client: Client, watches: list[WireWatch]) -> None:
        """Answer to the calls of a client."""
        self._clients[client.name] = client, watches

    def disconnect(self, client: Client) -> None:
        """Break all connections of a client: nothing passes in either direction any more."""
        for transport in self._open.pop(client.name, ()):
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        client, watches = self._clients[token.removesuffix(WATCHES)]
        if client.dead:
            return self._cut(request)
        assert request.transport is not None
        self._open.setdefault(client.name, set()).add(request.transport)
        watch = _watch_of(request.path, watches) if token.endswith(WATCHES) else None
        try:
            if watch is not None:
                await watch.wait_until_open()
                if request.query.get("watch") == "true":
                    return await self._follow(request, client, watch)
            return await self._call(request, client, safe=token.endswith(WATCHES))
        except DroppedError:
            return self._cut(request)
        except NotOpenedError as error:
            return _failure(error.status, error.retry_after)
        except asyncio.CancelledError:
            if client.dead:
                return self._cut(request)
            raise

    async def _call(self, request: web.Request, client: Client, *, safe: bool) -> web.Response:
        """Make a call; `safe`: answer nothing that would end kopf."""
        body = await request.text()
        code, text, after = await self._model.call(client, request.method, request.path, query=request.query, body=body)
        if safe and code in FATAL:
            return _failure(503, after)
        headers = {"Retry-After": f"{after:.0f}"} if after else {}
        kind = "text/plain" if request.path.endswith("/log") else "application/json"
        return web.Response(text=text, status=code, content_type=kind, headers=headers)

    async def _follow(self, request: web.Request, client: Client, watch: WireWatch) -> web.StreamResponse:
        found, query, loop = PATH.match(request.path), request.query, asyncio.get_running_loop()
        assert found is not None
        ends = loop.time() + float(query["timeoutSeconds"])
        stream = watch.stream = await self._model.open_watch(
            client,
            request.path,
            plural=found["plural"],
            namespace=found["namespace"],
            selector=query.get("labelSelector", ""),
            since=int(query["resourceVersion"]),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            if stream.gone:
                gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
                await _send(response, "ERROR", gone)
            elif not await self._send_all(response, client, watch, stream, ends=ends) and self._chance.random() < 0.5:
                return self._cut(request)  # without an end of the answer
            await response.write_eof()
        except ConnectionError:
            pass  # the operator has ended, or has closed it
        finally:
            stream.cut()
        return response

    async def _send_all(
        self, response: web.StreamResponse, client: Client, watch: WireWatch, stream: Stream, *, ends: float
    ) -> bool:
        """Send what happens until the time of the watch is over; False when it is cut before."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(min(ends, loop.time() + BOOKMARK_SECONDS)):
                    change = await stream.next()
            except TimeoutError:
                if loop.time() >= ends:
                    return True
                if not stream.silent:
                    await client.reach()
                    await _send(response, "BOOKMARK", {"metadata": {"resourceVersion": str(self.store.version)}})
                continue
            if change is None:
                return False
            await asyncio.sleep(self._chance.uniform(*DELIVERY_SECONDS))
            await client.reach()
            watch.sent(change)
            await _send(response, change.kind, change.body)


def _watch_of(path: str, watches: list[WireWatch]) -> WireWatch | None:
    found = PATH.match(path)
    plural, namespace = plural_of(path), found["namespace"] if found is not None else None
    return next((watch for watch in watches if watch.is_for(plural, namespace)), None)


def _failure(status: int, retry_after: float) -> web.Response:
    headers = {"Retry-After": f"{retry_after:.0f}"} if retry_after else {}
    return web.json_response({"kind": "Status", "code": status, "message": "failed"}, status=status, headers=headers)


async def _send(response: web.StreamResponse, kind: str, body: dict[str, Any]) -> None:
    await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
