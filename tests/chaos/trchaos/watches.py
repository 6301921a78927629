"""Kopf's watches, modelled: list, then follow; a cut stream goes on from its last version, after 410 it lists again.

What kopf does beyond that is not modelled because this operator uses none of it: events of one object reach their
handler in their order and one at a time, those of different objects in any order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainingrun.api.names import LABEL_STAGE
from trchaos.server import Client, ModelServer, Stream, list_of
from trfakes.store import Change, matches

Saw = Callable[[str | None, Mapping[str, Any]], None]
DELIVERY_SECONDS: Final = (0.0, 0.05)
AGAIN_SECONDS: Final = (0.05, 0.5)
SELECTORS: Final[Mapping[str, str]] = {"trainingruns": "", "jobs": LABEL_STAGE, "pods": LABEL_STAGE}


class Watch:
    """One watch of one operator; `refused` says whether the server refuses it now."""

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
        self.plural = plural
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
            await self._wait_until_open()
            found, version = list_of(
                self._server, self.plural, namespace=self._namespace, selector=SELECTORS[self.plural]
            )
            for body in found:
                self._deliver(None, body)
            await self._follow(version)
            await asyncio.sleep(self._chance.uniform(*AGAIN_SECONDS))

    async def _follow(self, version: int) -> None:
        """Follow from a version on; returns after 410."""
        while True:
            await self._wait_until_open()
            self.stream = self._server.open_watch(
                self.plural, namespace=self._namespace, selector=SELECTORS[self.plural], since=version
            )
            async for event in self.stream.events():
                if event["type"] == "ERROR":
                    return
                version = int(event["object"]["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    self._deliver(event["type"], event["object"])
            await asyncio.sleep(self._chance.uniform(*AGAIN_SECONDS))

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
            self._saw(change, body)

    def _catch_up(self) -> None:
        backlog, self._backlog = self._backlog, []
        for change, body in backlog:
            self._hand_over(change, body)
