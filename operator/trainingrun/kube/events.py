"""Events about a TrainingRun: best effort, and no two of the same text at a time; the record is the status.

Invariant: no decision waits for an Event. They are posted by tasks of their own, and the oldest first. The Event of a
wait has its name from the beginning of the wait, so that the API server takes it once, whoever emits it again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from dataclasses import replace
from typing import Final

from trainingrun.api.clock import SYSTEM, Clock, parse
from trainingrun.api.names import API_VERSION, KIND, MANAGER, short_hash
from trainingrun.api.run import Run
from trainingrun.domain.draft import Event
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError, KubeError
from trainingrun.kube.objects import path
from trainingrun.plain_text import plain

QUIET_SECONDS: Final = 3600  # for as long, by default, the API server keeps an Event
MAX_REMEMBERED: Final = 10_000
MAX_WAITING: Final = 1_000
log = logging.getLogger(__name__)


class Recorder:
    """Emits Events; one per process."""

    def __init__(self, api: Api, *, clock: Clock = SYSTEM) -> None:
        self._api, self._clock = api, clock
        self._seen: dict[tuple[str, str], float] = {}  # by UID of the run and text, or wait
        self._waiting: asyncio.Queue[tuple[Run, dict[str, object]]] = asyncio.Queue(MAX_WAITING)
        self._unposted: Counter[str] = Counter()  # by UID of the run
        self._last_number = 0

    def is_done(self, run: Run) -> bool:
        """Return whether all Events about a run were posted or dropped."""
        return run.uid not in self._unposted

    def emit(self, run: Run, event: Event, *, now: str) -> None:
        """Emit one Event about a run soon; it is dropped while too many wait."""
        event = replace(event, message=plain(event.message))
        key = (run.uid, f"{event.reason} {event.wait_since}" if event.wait_since else event.message)
        moment = self._clock.monotonic()
        quiet = math.inf if event.wait_since else QUIET_SECONDS
        if moment - self._seen.get(key, -math.inf) < quiet:
            return
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.clear()
        self._seen[key] = moment
        try:
            self._waiting.put_nowait((run, _body(run, event, now=now, number=self._number(run, event))))
            self._unposted[run.uid] += 1
        except asyncio.QueueFull:
            log.warning("event %s for %s was dropped: too many wait for the API server", event.reason, run.key)

    async def post_all(self) -> None:
        """Post Events without end; one that the server refuses is logged and dropped."""
        while True:
            run, body = await self._waiting.get()
            try:
                await self._api.call("POST", path("Event", run.namespace), body=body)
            except ConflictError:
                log.debug("event %s for %s exists", body["reason"], run.key)
            except KubeError as error:
                log.warning("event %s for %s was refused: %s", body["reason"], run.key, error)
            self._unposted -= Counter([run.uid])

    def _number(self, run: Run, event: Event) -> int:
        """Number in the name: Events are listed by name and shown with their second, so it keeps those in order."""
        since = parse(event.wait_since)
        if since is None:
            self._last_number = max(self._last_number + 1, int(self._clock.now().timestamp() * 10**6) * 1000)
            return self._last_number
        return int(since.timestamp()) * 10**9 + int(short_hash(f"{run.uid} {event.reason}"), 16) % 10**9


def _body(run: Run, event: Event, *, now: str, number: int) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{run.name}.{number:x}",
            "namespace": run.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": run.name,
            "namespace": run.namespace,
            "uid": run.uid,
        },
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
