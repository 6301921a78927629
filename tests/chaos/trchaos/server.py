"""The API server as operators see it, in virtual time: each call takes a while, and rules make some of them fail.

A call is received, takes effect at one moment, and is answered later; in between, its client may die or its answer be
lost. Documents pass as JSON text, so nothing is shared with the client.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from trainingrun.kube.client import TIMEOUT_SECONDS, Api
from trainingrun.kube.errors import KubeError, from_answer
from trchaos.store import ChaosStore
from trfakes.answers import PATH, Answers
from trfakes.store import Change, matches

LATENCY: Final = (0.001, 0.03)  # seconds that a call takes each way
NAMESPACE_FORBIDDEN: Final = "namespace forbidden"  # a kind of fault: nothing gets through there
CALLED_INVALID: Final = "Job called invalid"  # for a field that the operator has set
_STATUS: Final = {429: "Too many requests", 500: "Internal error", 503: "The server is overloaded", 504: "Timeout"}


class DroppedError(Exception):
    """The connection broke."""


class NotOpenedError(Exception):
    """A watch was answered with an error."""

    def __init__(self, status: int, retry_after: float) -> None:
        super().__init__(f"status {status}")
        self.status, self.retry_after = status, retry_after


@dataclass
class Rule:
    """What happens to calls that match, until a time and for so many of them."""

    kind: str  # the kind of the fault, as reports have it
    matches: Callable[[str, str], bool]
    until: float
    times: int = 10**9
    status: int = 0  # answer of the server; 0 for none
    takes_effect: bool = False  # only the answer is lost
    seconds: float = 0.0  # by which the answer is late
    share: float = 1.0
    retry_after: float = 0.0
    answer: Mapping[str, Any] = field(default_factory=dict)


class Request(NamedTuple):
    """One call as the server has seen it; `status` 0 if it was not answered, `changed` if it changed an object."""

    at: float
    client: str
    method: str
    path: str
    status: int
    changed: bool = False
    name: str = ""  # of an object that is to be created, or that is asked for
    injected: bool = False  # a fault has answered
    blind: bool = False  # a patch that does not name the version that it changes
    outdated: bool = False  # it is for an owner, or asks for an object, whose deletion its client had seen before


class Client:
    """The connections of one operator process."""

    def __init__(self, name: str) -> None:
        self.name, self.dead = name, False
        self.die_after_calls: int | None = None  # it is killed when so many more calls were counted
        self.dies_before = False  # the effect of that call; otherwise after it
        self.counts_reads = False
        self.unreachable_until = 0.0  # no call and no event passes before
        self.frozen_until = 0.0  # its process stands still before
        self.gone: set[str] = set()  # UIDs of the objects whose deletion its watches have shown
        self.missing: set[tuple[str, str, str]] = set()  # plural, namespace and name of what they have shown as deleted
        self.on_death: Callable[[], None] = lambda: None

    def count_call(self, method: str, *, before: bool) -> None:
        """Count a call, before or after its effect: this may be the last one."""
        counted = before == self.dies_before and (method != "GET" or self.counts_reads)
        if self.die_after_calls is not None and counted:
            self.die_after_calls -= 1
            if self.die_after_calls < 0:
                self.die_after_calls = None
                self.on_death()

    async def reach(self) -> None:
        """Wait until the network is there."""
        while (left := self.unreachable_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)


class ModelServer:
    """Serves one store."""

    def __init__(self, store: ChaosStore, *, chance: random.Random) -> None:
        self.store, self.answers = store, Answers(store)
        self.rules: list[Rule] = []
        self.requests: list[Request] = []
        self.acting = ""  # the client whose call takes effect at this moment
        self.hit: Counter[str] = Counter()  # calls that a fault has hit, by its kind
        self.listeners: list[Callable[[Request], None]] = []
        self.arrivals: list[Callable[[str, str, Mapping[str, Any]], None]] = []  # told before a call takes effect
        self.streams: dict[Stream, None] = {}  # the open watches, in the order of their beginning
        self._chance = chance
        store.listeners.append(self._publish)

    async def call(
        self, client: Client, method: str, path: str, *, query: Mapping[str, str], body: str
    ) -> tuple[int, str, float]:
        """Status, text and Retry-After of the answer; raises DroppedError.

        What was sent takes effect, whether its client still waits for the answer, has died, or stands still.
        """
        one = query.get("fieldSelector", "").partition("metadata.name=")[2]
        of_missing = (plural_of(path), namespace_of(path), one) in client.missing  # known when the call was decided on
        await client.reach()
        client.count_call(method, before=True)
        _still_alive(client)
        served = asyncio.get_running_loop().create_task(
            self._serve(client, method, path, query=query, body=body, of_missing=of_missing),
            context=contextvars.Context(),
        )
        answer = await asyncio.shield(served)
        await client.reach()
        _still_alive(client)
        return answer

    async def _serve(
        self, client: Client, method: str, path: str, *, query: Mapping[str, str], body: str, of_missing: bool
    ) -> tuple[int, str, float]:
        rule = self._rule(method, path)
        sent: dict[str, Any] = json.loads(body) if body else {}
        for arrived in self.arrivals:
            arrived(method, path, sent)
        blind = method == "PATCH" and not (sent.get("metadata") or {}).get("resourceVersion")
        meta = sent.get("metadata") or {} if method == "POST" else {}
        outdated = of_missing or any(owner["uid"] in client.gone for owner in meta.get("ownerReferences") or ())
        name = str(meta.get("name") or query.get("fieldSelector", "").partition("metadata.name=")[2])
        await asyncio.sleep(self._chance.uniform(*LATENCY))
        if client.unreachable_until > asyncio.get_running_loop().time():
            self._record(Request(asyncio.get_running_loop().time(), client.name, method, path, 0))
            raise DroppedError  # it was lost on its way
        version = self.store.version
        refused = rule is not None and not rule.takes_effect and (rule.status or not rule.seconds)
        if rule is not None and refused:
            code, answer = rule.status, {"kind": "Status", "code": rule.status, "message": _STATUS.get(rule.status, "")}
            answer |= rule.answer
        else:
            self.acting = client.name
            code, answer = self.answers.to(method, path, query=query, body=sent)
            self.acting = ""
            if rule is not None and rule.status:
                code, answer = rule.status, {"kind": "Status", "code": rule.status, "message": _STATUS[rule.status]}
        text = answer if isinstance(answer, str) else json.dumps(answer)
        lost = rule is not None and not rule.status and not rule.seconds
        at, changed = asyncio.get_running_loop().time(), self.store.version != version
        injected = rule is not None and bool(rule.status)
        self._record(
            Request(at, client.name, method, path, 0 if lost else code, changed, name, injected, blind, outdated)
        )
        client.count_call(method, before=False)
        late = rule.seconds if rule is not None else 0.0
        await asyncio.sleep(late + self._chance.uniform(*LATENCY))
        if lost:
            raise DroppedError
        return code, text, rule.retry_after if rule is not None else 0.0

    async def open_watch(
        self, client: Client, path: str, *, plural: str, namespace: str | None, selector: str, since: int
    ) -> Stream:
        """Open a watch from a version on; raises DroppedError, or NotOpenedError for an answer that is an error."""
        rule = self._rule("GET", path)
        await asyncio.sleep(self._chance.uniform(*LATENCY) + (rule.seconds if rule is not None else 0.0))
        await client.reach()
        _still_alive(client)
        if rule is not None and rule.status:
            raise NotOpenedError(rule.status, rule.retry_after)
        if rule is not None and not rule.seconds:
            raise DroppedError
        return Stream(self, plural=plural, namespace=namespace, selector=selector, since=since)

    def _rule(self, method: str, path: str) -> Rule | None:
        now = asyncio.get_running_loop().time()
        self.rules = [rule for rule in self.rules if rule.until > now and rule.times > 0]
        for rule in self.rules:
            if rule.matches(method, path) and self._chance.random() < rule.share:
                rule.times -= 1
                self.hit[rule.kind] += 1
                return rule
        return None

    def _record(self, request: Request) -> None:
        self.requests.append(request)
        for listener in self.listeners:
            listener(request)

    def _publish(self, change: Change) -> None:
        for stream in list(self.streams):
            stream.offer(change)


class Stream:
    """One open watch; `gone`: its version is too old (410), and nothing comes."""

    def __init__(self, server: ModelServer, *, plural: str, namespace: str | None, selector: str, since: int) -> None:
        self._server, self._plural, self._namespace, self._selector = server, plural, namespace, selector
        self.gone = since < server.store.compacted
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self.silent = False  # what happens is not sent any more
        if self.gone:
            return
        for change in server.store.history:
            if change.version > since:
                self.offer(change)
        server.streams[self] = None

    def offer(self, change: Change) -> None:
        """Send a change, if the watch is for such."""
        here = change.plural == self._plural and self._namespace in {None, change.body["metadata"]["namespace"]}
        if here and not self.silent and matches(change.body, self._selector):
            self._queue.put_nowait(change)

    def cut(self) -> None:
        """End it, as a restarted server or a proxy does."""
        self._server.streams.pop(self, None)
        self._queue.put_nowait(None)

    async def next(self) -> Change | None:
        """The next change; None once it is cut."""
        return await self._queue.get()


class ModelApi(Api):
    """The operator's client, without HTTP."""

    def __init__(self, server: ModelServer, client: Client) -> None:
        self._server, self._name = server, client

    async def close(self) -> None: ...

    async def text(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        sent = "" if body is None else json.dumps(body)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                code, text, after = await self._server.call(self._name, method, path, query=query or {}, body=sent)
        except TimeoutError:
            raise KubeError(f"{method} {path}: TimeoutError: ") from None
        except DroppedError:
            raise KubeError(f"{method} {path}: ServerDisconnectedError: Server disconnected") from None
        if code >= 300:
            raise from_answer(f"{method} {path}", code, text.encode(), retry_after=after)
        return text


def plural_of(path: str) -> str:
    """Kind of the objects that a call is about; empty for discovery."""
    found = PATH.match(path)
    return found["plural"] if found is not None else ""


def namespace_of(path: str) -> str:
    """Namespace of the objects that a call is about; empty for the whole cluster and for discovery."""
    found = PATH.match(path)
    return (found["namespace"] or "") if found is not None else ""


def _still_alive(client: Client) -> None:
    if client.dead:
        raise asyncio.CancelledError
