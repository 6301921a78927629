"""Kopf's watches, modelled: list, then follow; a cut stream goes on from its last version, after 410 it lists again.

Listings and openings of streams meet the same faults as other calls, and are tried again with the operator's own waits.
A stream that is silent for too long is opened again. Kopf would end the process for answers such as 404, which a real
server gives only where TrainingRuns are not served; here they are tried again.

What kopf does beyond that is not modelled because this operator uses none of it: events of one object reach their
handler in their order and one at a time, those of different objects in any order.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from trainingrun.api.names import LABEL_STAGE
from trainingrun.handlers import Backoffs
from trainingrun.kube.objects import path
from trchaos.server import Client, DroppedError, ModelServer, NotOpenedError, Stream
from trfakes.store import Change, matches

Saw = Callable[[str | None, Mapping[str, Any]], None]
DELIVERY_SECONDS: Final = (0.0, 0.05)
AGAIN_SECONDS: Final = (0.05, 0.5)
RECONNECT_SECONDS: Final = 0.1  # kopf's own
SERVER_SECONDS: Final = 600.0  # as handlers.py configures it, like the next three
INACTIVE_SECONDS: Final = 70.0
REQUEST_SECONDS: Final = 30.0
PAGE: Final = 500
KINDS: Final[Mapping[str, str]] = {"trainingruns": "TrainingRun", "jobs": "Job", "pods": "Pod"}
SELECTORS: Final[Mapping[str, str]] = {"trainingruns": "", "jobs": LABEL_STAGE, "pods": LABEL_STAGE}


class Watch:
    """One watch of one operator."""

    def __init__(
        self,
        server: ModelServer,
        client: Client,
        *,
        plural: str,
        namespace: str | None,
        saw: Saw,
        chance: random.Random,
    ) -> None:
        self._server, self._client, self._namespace = server, client, namespace
        self.plural, self._path = plural, path(KINDS[plural], namespace)
        self._saw, self._chance = saw, chance
        self._deleted: set[str] = set()
        self._backlog: list[tuple[str | None, Mapping[str, Any]]] = []  # not seen yet
        self._last_at: dict[str, float] = {}  # when the newest event of each object is delivered
        self.blocked_until = 0.0  # before, neither listing nor stream gets through
        self.twice = False  # deliver each event twice, the second time late
        self.stream: Stream | None = None

    async def keep(self) -> None:
        """List and follow without end."""
        while True:
            await self._follow(await self._list())
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _list(self) -> int:
        """List page by page and show what is there; returns the version of the listing."""
        query = {"limit": str(PAGE), "labelSelector": SELECTORS[self.plural]}
        while True:
            page = await self._read_page(query)
            for body in page["items"]:
                self._deliver(None, body)
            if not (token := page["metadata"].get("continue")):
                return int(page["metadata"]["resourceVersion"])
            query["continue"] = token

    async def _read_page(self, query: Mapping[str, str]) -> dict[str, Any]:
        for wait in Backoffs():
            await self._wait_until_open()
            retry_after = 0.0
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    code, text, retry_after = await self._server.call(
                        self._client, "GET", self._path, query=query, body=""
                    )
                if code == HTTPStatus.OK:
                    page: dict[str, Any] = json.loads(text)
                    return page
            except (DroppedError, TimeoutError):
                pass
            await asyncio.sleep(max(wait, retry_after))
        raise AssertionError  # the waits have no end

    async def _open(self, version: int) -> Stream:
        for wait in Backoffs():
            await self._wait_until_open()
            retry_after = 0.0
            try:
                async with asyncio.timeout(INACTIVE_SECONDS):
                    return await self._server.open_watch(
                        self._client,
                        self._path,
                        plural=self.plural,
                        namespace=self._namespace,
                        selector=SELECTORS[self.plural],
                        since=version,
                    )
            except NotOpenedError as error:
                retry_after = error.retry_after
            except (DroppedError, TimeoutError):
                pass
            await asyncio.sleep(max(wait, retry_after))
        raise AssertionError  # the waits have no end

    async def _follow(self, version: int) -> None:
        """Follow from a version on; returns after 410."""
        loop = asyncio.get_running_loop()
        while True:
            stream = self.stream = await self._open(version)
            ends = loop.time() + SERVER_SECONDS
            while not stream.gone:
                try:
                    async with asyncio.timeout_at(min(ends, loop.time() + INACTIVE_SECONDS)):
                        change = await stream.next()
                except TimeoutError:
                    if stream.silent or loop.time() >= ends:
                        stream.cut()
                        break
                    version = self._server.store.version  # a bookmark comes every minute
                    continue
                if change is None:
                    break
                version = change.version
                self._deliver(change.kind, change.body)
            else:
                return

    async def _wait_until_open(self) -> None:
        loop = asyncio.get_running_loop()
        while (left := max(self.blocked_until, self._client.unreachable_until) - loop.time()) > 0:
            await asyncio.sleep(left + self._chance.uniform(*AGAIN_SECONDS))

    def show_again(self, change: Change) -> None:
        """Show a change that may be older than what was shown already."""
        body = change.body
        here = change.plural == self.plural and self._namespace in {None, body["metadata"]["namespace"]}
        if here and matches(body, SELECTORS[self.plural]):
            self._show_late(change.kind, body)

    def _deliver(self, change: str | None, body: Mapping[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        uid = body["metadata"]["uid"]
        due = max(loop.time() + self._chance.uniform(*DELIVERY_SECONDS), self._last_at.get(uid, 0.0))
        self._last_at[uid] = due
        loop.call_at(due, self._hand_over, change, body)
        if self.twice and change != "DELETED":
            loop.call_at(due + self._chance.uniform(0.0, 2.0), self._show_late, change, body)

    def _show_late(self, change: str | None, body: Mapping[str, Any]) -> None:
        """Show an event again, but nothing of an object after its deletion: no watch does."""
        if body["metadata"]["uid"] not in self._deleted:
            self._hand_over(change, body)

    def _hand_over(self, change: str | None, body: Mapping[str, Any]) -> None:
        """Show an event, once the operator can see it: in the order of the events."""
        if change == "DELETED":
            self._deleted.add(body["metadata"]["uid"])
        loop = asyncio.get_running_loop()
        late = max(self._client.unreachable_until, self._client.frozen_until)
        if late > loop.time() or self._backlog:
            if not self._backlog:
                loop.call_at(max(late, loop.time()), self._catch_up)
            self._backlog.append((change, body))
        elif not self._client.dead:
            meta = body["metadata"]
            place = self.plural, meta["namespace"], meta["name"]
            if change == "DELETED":
                self._client.gone.add(meta["uid"])
                self._client.missing.add(place)
            else:
                self._client.missing.discard(place)
            self._saw(change, body)

    def _catch_up(self) -> None:
        backlog, self._backlog = self._backlog, []
        for change, body in backlog:
            self._hand_over(change, body)
