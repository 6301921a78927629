"""Count what operators ask of the API server, by run; watch that only the holder of a Lease writes to its namespace."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Final

from trchaosfleet.weather import Call

_PLACE: Final = re.compile(r"/namespaces/(?P<namespace>[^/]+)/(?P<plural>[a-z]+)(/(?P<name>[^/?]+))?")
_RUN: Final = re.compile(r"^(r\d\d)(?:[-.]|$)")
BURST_SECONDS: Final = 2.0
BURST: Final = 60  # requests for one run in that time


class Traffic:
    """Observer of all proxies of a schedule; `violate` records a broken invariant."""

    def __init__(
        self, namespaces: Sequence[str], violate: Callable[[str], None], trace: Callable[..., None] = lambda *_: None
    ) -> None:
        self._namespaces, self._violate, self._trace = set(namespaces), violate, trace
        self.requests: Counter[str] = Counter()  # by run
        self.total = 0
        self.writes: list[tuple[float, str]] = []
        self.holders: dict[str, str] = {}
        self.begun = asyncio.Event()  # set once the Lease of each namespace is held
        self._newest: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=BURST))

    def sends(self, call: Call, body: bytes) -> None:
        """See a request just before it is forwarded."""
        self.total += 1
        found = _PLACE.search(call.path)
        if found is None or call.watches:
            return
        namespace, plural, name = found["namespace"], found["plural"], found["name"] or _name_in(body)
        if plural == "leases":
            return
        self._trace(f"{call.operator} sends", call.method, f"{namespace}/{plural}/{name}")
        if call.method != "GET":
            self._see_write(call, namespace, f"{plural}/{name}")
        of_run = _RUN.match(name)
        if of_run is not None:
            self._count(f"{namespace}/{of_run[1]}")

    def answered(self, call: Call, body: bytes, status: int) -> None:
        """See an answer: the holder of a Lease may have changed."""
        found = _PLACE.search(call.path)
        self._trace(f"{call.operator} gets", status, call.method, call.path)
        if found is None or found["plural"] != "leases" or call.method == "GET" or status >= 300:
            return
        holder = (json.loads(body).get("spec") or {}).get("holderIdentity")
        if holder is not None:
            self.holders[found["namespace"]] = call.operator if holder else ""
            if self.holders.keys() >= self._namespaces:
                self.begun.set()

    def writes_since(self, moment: float) -> list[str]:
        """Writes after a moment of the monotonic clock."""
        return [text for at, text in self.writes if at > moment]

    def _see_write(self, call: Call, namespace: str, what: str) -> None:
        self.writes.append((time.monotonic(), f"{call.operator}: {call.method} {namespace}/{what}"))
        holder = self.holders.get(namespace, call.operator)
        if holder != call.operator:
            self._violate(f"{call.operator} writes {what} while {holder or 'nobody'} holds the Lease of {namespace}")

    def _count(self, run: str) -> None:
        self.requests[run] += 1
        newest, now = self._newest[run], time.monotonic()
        newest.append(now)
        if len(newest) == BURST and now - newest[0] < BURST_SECONDS:
            self._violate(f"storm: {BURST} requests for {run} in {now - newest[0]:.1f} s")


def _name_in(body: bytes) -> str:
    try:
        return str(json.loads(body)["metadata"]["name"])
    except (ValueError, KeyError, TypeError):
        return ""
