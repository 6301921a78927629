"""Pull progress from the agents of running attempts; no decision depends on it.

One task per running pod asks `http://<podIP>:8080/progress` every two seconds. While the network forbids that, the
last `progress {...}` line of the agent's log is read once a minute instead, and the status says so.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from trainingrun.api import bounded_json
from trainingrun.api.names import AGENT, AGENT_PORT, SUPPORTED_CONTRACTS
from trainingrun.domain.observe import PodView
from trainingrun.engine.cache import Cache
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError

PULL_SECONDS: Final = 2.0
TIMEOUT_SECONDS: Final = 2.0
MAX_BYTES: Final = 16 * 1024
FALLBACK_AFTER_SECONDS: Final = 20.0
FALLBACK_SECONDS: Final = 60.0
LOG_MARK: Final = "progress {"
log = logging.getLogger(__name__)


class ProgressPuller:
    """Keeps `cache.progress` up to date for the runs that `watch` names."""

    def __init__(self, api: Api, *, cache: Cache, queue: WorkQueue, port: int = AGENT_PORT) -> None:
        self._api, self._cache, self._queue, self._port = api, cache, queue, port
        self._tasks: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._session: aiohttp.ClientSession | None = None

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
        if self._session is not None:
            await self._session.close()

    async def _pull_repeatedly(self, key: str, pod: PodView) -> None:
        answered, read = time.monotonic(), -math.inf
        newest: dict[str, Any] = {}
        while True:
            found = await self._ask(pod)
            now = time.monotonic()
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

    async def _ask(self, pod: PodView) -> dict[str, Any] | None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        try:
            async with self._session.get(f"http://{host}:{self._port}/progress", allow_redirects=False) as answer:
                if answer.status != 200:
                    return None
                data = await _read(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        return parse_progress(data.decode("utf-8", errors="replace"), pod_uid=pod.uid)

    async def _read_log(self, pod: PodView) -> dict[str, Any] | None:
        try:
            text = await objects.read_log_tail(self._api, namespace=pod.namespace, pod=pod.name, container=AGENT)
        except KubeError as error:
            log.info("no progress from pod %s/%s: %s", pod.namespace, pod.name, error)
            return None
        reports = ["{" + line.partition(LOG_MARK)[2] for line in text.splitlines() if LOG_MARK in line]
        return parse_progress(reports[-1], pod_uid=pod.uid) if reports else None


def _updated(report: Mapping[str, Any]) -> str:
    return str(report.get("updated", ""))


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Read the whole of a short answer; one read may return only a part of it."""
    data = b""
    async for chunk in content.iter_chunked(MAX_BYTES):
        data += chunk
        if len(data) > MAX_BYTES:
            break
    return data


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
