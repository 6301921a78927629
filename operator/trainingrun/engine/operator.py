"""Start and stop of the operator: list everything, then work; every task has a name and a supervisor.

Invariant: no decision before the first full listing, so that a restart alone writes nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Coroutine
from typing import Any, Final

from trainingrun.api.names import AGENT_PORT, GROUP, PLURAL, VERSION
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain.observe import JobView, PodView
from trainingrun.engine.cache import Cache
from trainingrun.engine.health import Health
from trainingrun.engine.lease import ScopeLease
from trainingrun.engine.progress_puller import ProgressPuller
from trainingrun.engine.reconciler import HEARTBEAT, Reconciler
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError
from trainingrun.kube.objects import list_all

WORKERS: Final = 16
HEARTBEAT_SECONDS: Final = 5.0
FIRST_RESYNCS_SECONDS: Final = (5.0, 60.0)  # kopf's watches begin after the first listing, on a busy machine long after
RESYNC_SECONDS: Final = 600.0
START_RETRY_SECONDS: Final = 2.0
log = logging.getLogger(__name__)


class Operator:
    """Cache, queue, workers and their helpers for one event loop."""

    def __init__(self, settings: Settings, *, agent_port: int = AGENT_PORT) -> None:
        self._settings, self._agent_port = settings, agent_port
        self.cache, self.queue = Cache(), WorkQueue()
        self._health = Health(port=settings.port)
        self._tasks: list[asyncio.Task[None]] = []
        self._api: Api | None = None
        self._lease: ScopeLease | None = None
        self._puller: ProgressPuller | None = None
        self.serving = False

    async def start(self) -> None:
        """Connect, wait for the Lease, list everything, then start the workers."""
        await self._health.start()
        self._api = await Api.connect()
        self._lease = ScopeLease(self._api, settings=self._settings)
        await self._lease.acquire(self._health)
        self._start_task(self._lease.keep(), name="lease")
        await self._first_listing()
        self._puller = ProgressPuller(self._api, cache=self.cache, queue=self.queue, port=self._agent_port)
        reconciler = Reconciler(
            self._api, cache=self.cache, queue=self.queue, puller=self._puller, settings=self._settings
        )
        for number in range(WORKERS):
            self._start_task(self.queue.work(reconciler.handle), name=f"worker {number}")
        self._start_task(reconciler.recorder.post_all(), name="events")
        self._start_task(self._beat(), name="heartbeat")
        self._start_task(self._resync(), name="resync")
        self._health.serving(self.cache, self.queue, reconciler)
        self.serving = True
        for key in self.cache.runs:
            self.queue.add(key)
        log.info("started: %d runs known", len(self.cache.runs))

    async def stop(self) -> None:
        """Stop the workers and let the next operator take over at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._puller is not None:
            await self._puller.close()
        if self._lease is not None:
            await self._lease.release()
        if self._api is not None:
            await self._api.close()
        await self._health.stop()

    def forget(self, run: Run) -> None:
        """Remove a deleted run from the cache and end its work."""
        self.cache.drop_run(run.key, uid=run.uid)
        self.queue.add(run.key)

    def _start_task(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_exit_with)
        self._tasks.append(task)

    async def _beat(self) -> None:
        while True:
            self.queue.add(HEARTBEAT, first=True)  # ahead of all others: a long queue is healthy, a stuck one is not
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _resync(self) -> None:
        """Watches can miss deletions, above all those from before they began, so list everything periodically."""
        for seconds in itertools.chain(FIRST_RESYNCS_SECONDS, itertools.repeat(RESYNC_SECONDS)):
            await asyncio.sleep(seconds)
            known = set(self.cache.runs)
            try:
                await self._list_all()
            except KubeError as error:
                log.warning("resync failed: %s", error)
                continue
            for key in known | self.cache.runs.keys():
                self.queue.add(key)

    async def _first_listing(self) -> None:
        """Wait until the API server serves TrainingRuns: kopf looks for the resource only once, after this."""
        assert self._api is not None
        while True:
            try:
                served = await self._api.call("GET", f"/apis/{GROUP}/{VERSION}")
                if any(resource.get("name") == PLURAL for resource in served.get("resources") or ()):
                    await self._list_all()
                    return
                self._health.waiting_for = f"the custom resource {PLURAL}.{GROUP} to be served"
            except KubeError as error:
                self._health.waiting_for = f"the first listing: {error}"
            log.warning("waiting for %s", self._health.waiting_for)
            await asyncio.sleep(START_RETRY_SECONDS)

    async def _list_all(self) -> None:
        assert self._api is not None
        self.cache.start_listing()
        runs: list[Run] = []
        jobs: list[JobView] = []
        pods: list[PodView] = []
        for namespace in self._settings.namespaces or (None,):
            runs += [Run.from_object(body) async for body in list_all(self._api, "TrainingRun", namespace=namespace)]
            seen_jobs = [
                JobView.from_object(b) async for b in list_all(self._api, "Job", namespace=namespace, ours=True)
            ]
            seen_pods = [
                PodView.from_object(b) async for b in list_all(self._api, "Pod", namespace=namespace, ours=True)
            ]
            jobs += [job for job in seen_jobs if job is not None]
            pods += [pod for pod in seen_pods if pod is not None]
        self.cache.finish_listing(runs=runs, jobs=jobs, pods=pods)


def _exit_with(task: asyncio.Task[None]) -> None:
    """Exit when a task has ended by itself: without it the process only seems alive; the kubelet starts a new one."""
    if task.cancelled():
        return
    log.critical("task %s ended", task.get_name(), exc_info=task.exception())
    logging.shutdown()
    os._exit(1)
