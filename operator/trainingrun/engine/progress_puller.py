"""Pull progress from the agents of running attempts; no decision depends on it.

One task per running pod asks `http://<podIP>:8080/progress` every two seconds. While the network forbids that, the
last `progress {...}` line of the agent's log is read once a minute instead, and the status says so.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import bounded_json
from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.names import AGENT, AGENT_PORT, SUPPORTED_CONTRACTS
from trainingrun.domain.observe import PodView
from trainingrun.engine.agents import MAX_BYTES, Agents
from trainingrun.engine.cache import Cache
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError, NotFoundError

PULL_SECONDS: Final = 2.0
FALLBACK_AFTER_SECONDS: Final = 20.0
FALLBACK_SECONDS: Final = 60.0
LOG_MARK: Final = "progress {"
log = logging.getLogger(__name__)


class ProgressPuller:
    """Keeps `cache.progress` up to date for the runs that `watch` names."""

    def __init__(
        self,
        api: Api,
        *,
        cache: Cache,
        queue: WorkQueue,
        agents: Agents,
        port: int = AGENT_PORT,
        clock: Clock = SYSTEM,
    ) -> None:
        self._api, self._cache, self._queue, self._port = api, cache, queue, port
        self._agents, self._clock = agents, clock
        self._tasks: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def watch(self, key: str, pod: PodView | None) -> None:
        """Pull from this pod from now on; None stops pulling for the run."""
        known = self._tasks.get(key)
        if pod is not None and pod.ip and known is not None and known[0] == pod.uid and not known[1].done():
            return
        if known is not None:
            known[1].cancel()
            del self._tasks[key]
        if pod is not None and pod.ip:
            task = asyncio.create_task(self._pull_repeatedly(key, pod), name=f"progress {key}")
            self._tasks[key] = (pod.uid, task)

    async def close(self) -> None:
        """Stop pulling for all runs."""
        for _, task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._tasks.values()), return_exceptions=True)
        self._tasks.clear()
        await self._agents.close()

    async def _pull_repeatedly(self, key: str, pod: PodView) -> None:
        answered, read = self._clock.monotonic(), -math.inf
        newest: dict[str, Any] = {}
        while True:
            found = _parse(await self._agents.ask(pod.ip, self._port), pod)
            now = self._clock.monotonic()
            if found is not None:
                answered, newest = now, found
                self._store(key, pod, {**found, "source": "agent"})
            elif now - answered > FALLBACK_AFTER_SECONDS and now - read > FALLBACK_SECONDS:
                read = now
                found = await self._read_log(pod)
                if found is not None:
                    newest = max(newest, found, key=_updated)  # the log can be older than the agent's last answer
                    self._store(key, pod, {**newest, "source": "log"})
            await asyncio.sleep(PULL_SECONDS)

    def _store(self, key: str, pod: PodView, found: Mapping[str, Any]) -> None:
        if self._cache.report_progress(pod.run_uid, key, found):
            self._queue.add(key)

    async def _read_log(self, pod: PodView) -> dict[str, Any] | None:
        try:
            text = await objects.read_log_tail(self._api, namespace=pod.namespace, pod=pod.name, container=AGENT)
        except NotFoundError as error:
            if error.kind != "pods":
                return None
            self._cache.drop_missing_pod(pod)  # no watch has shown its deletion
            self._queue.add(pod.run_key)
            return None
        except KubeError as error:
            log.info("no progress from pod %s/%s: %s", pod.namespace, pod.name, error)
            return None
        reports = ["{" + line.partition(LOG_MARK)[2] for line in text.splitlines() if LOG_MARK in line]
        return parse_progress(reports[-1], pod_uid=pod.uid) if reports else None


def _parse(data: bytes | None, pod: PodView) -> dict[str, Any] | None:
    return None if data is None else parse_progress(data.decode("utf-8", errors="replace"), pod_uid=pod.uid)


def _updated(report: Mapping[str, Any]) -> str:
    return str(report.get("updated", ""))


def parse_progress(text: str, *, pod_uid: str) -> dict[str, Any] | None:
    """Parse a progress document; None when it is too long, malformed, of another pod or of an unknown contract."""
    if len(text) > MAX_BYTES:
        return None
    try:
        found = bounded_json.document(text)
    except ValueError:
        return None
    if found.get("podUID") != pod_uid:
        return None
    return found if found.get("contractVersion") in SUPPORTED_CONTRACTS else None
