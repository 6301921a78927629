"""Start and stop of the operator: list, then decide; every task has a name and a supervisor.

Invariant: no decision about a namespace before its first full listing, so that a restart alone writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from trainingrun.api.names import AGENT_PORT, GROUP, PLURAL
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain.observe import JobView, PodView
from trainingrun.engine.board_watch import BoardWatch
from trainingrun.engine.cache import Cache
from trainingrun.engine.health import Health
from trainingrun.engine.lister import Lister
from trainingrun.engine.outside import Outside
from trainingrun.engine.progress_puller import ProgressPuller
from trainingrun.engine.reconciler import HEARTBEAT, Reconciler
from trainingrun.engine.scope import Scope
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError
from trainingrun.kube.fence import FencedApi

WORKERS: Final = 16
HEARTBEAT_SECONDS: Final = 5.0
DELETED: Final = "DELETED"
START_RETRY_SECONDS: Final = 2.0
log = logging.getLogger(__name__)


class Operator:
    """Cache, queue, workers and their helpers for one event loop."""

    def __init__(self, settings: Settings, *, agent_port: int = AGENT_PORT, outside: Outside | None = None) -> None:
        self._settings, self._agent_port = settings, agent_port
        self._outside = outside or Outside()
        clock = self._outside.clock
        self.cache = Cache(clock=clock)
        self.queue = WorkQueue(urgency_of=self.cache.urgency_of, jitter=self._outside.jitter)
        self._health = Health(port=settings.port, clock=clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._served = asyncio.Event()
        self._api: Api | None = None
        self._scope: Scope | None = None
        self._puller: ProgressPuller | None = None
        self._reconciler: Reconciler | None = None

    @property
    def serving(self) -> bool:
        """Whether it serves at least one namespace."""
        return self._scope is not None and self._scope.ready

    async def start(self) -> None:
        """Connect and start to work; return when the first namespace has been listed and is served."""
        if self._outside.serves_probes:
            await self._health.start()
        clock = self._outside.clock
        self._api = await self._outside.connect()
        lister = Lister(self._api, cache=self.cache, gone=self.queue.add)
        await self._wait_for_custom_resource(lister)
        scope = self._scope = Scope(
            self._api, settings=self._settings, lister=lister, changed=self._changed, clock=clock
        )
        self._puller = ProgressPuller(
            self._api,
            cache=self.cache,
            queue=self.queue,
            agents=self._outside.agents,
            port=self._agent_port,
            clock=clock,
        )
        self._reconciler = Reconciler(
            FencedApi(self._api, scope.seconds_left),
            cache=self.cache,
            queue=self.queue,
            puller=self._puller,
            settings=self._settings,
            clock=clock,
        )
        for number in range(WORKERS):
            self._start_task(self.queue.work(self._handle), name=f"worker {number}")
        self._start_task(self._reconciler.recorder.post_all(), name="events")
        self._start_task(self._beat(), name="heartbeat")
        boards = BoardWatch(self._api, cache=self.cache, queue=self.queue, serves=scope.serves)
        self._start_task(boards.keep(), name="TensorBoards")
        self._health.working(self.cache, self.queue, self._reconciler, scope)
        for place in scope:
            self._start_task(place.keep(), name=place.name)
        await self._served.wait()

    async def stop(self) -> None:
        """Stop the workers and let the next operator take over at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._puller is not None:
            await self._puller.close()
        if self._scope is not None:
            await asyncio.gather(*(place.lease.release() for place in self._scope))
        if self._api is not None:
            await self._api.close()
        await self._health.stop()

    def saw_run(self, change: str | None, body: Mapping[str, Any]) -> None:
        """Take what the watch of TrainingRuns shows; `change` is the type of its event, None in a listing."""
        self._note_listing(change, body)
        run = Run.from_object(body)
        if change == DELETED:
            self.cache.drop_run(run.key, uid=run.uid)
            self.queue.add(run.key)
        elif self.cache.put_run(run):
            self.queue.add(run.key)

    def saw_job(self, change: str | None, body: Mapping[str, Any]) -> None:
        """Take what the watch of Jobs shows."""
        self._note_listing(change, body)
        job = JobView.from_object(body)
        if job is not None:
            (self.cache.drop_job if change == DELETED else self.cache.put_job)(job)
            self.queue.add(job.run_key)

    def saw_pod(self, change: str | None, body: Mapping[str, Any]) -> None:
        """Take what the watch of Pods shows."""
        self._note_listing(change, body)
        pod = PodView.from_object(body)
        if pod is not None:
            (self.cache.drop_pod if change == DELETED else self.cache.put_pod)(pod)
            self.queue.add(pod.run_key)

    def _note_listing(self, change: str | None, body: Mapping[str, Any]) -> None:
        """When a watch lists, deletions since its last event are in none of its events: list as well."""
        if change is None and self._scope is not None:
            self._scope.watch_listed_again(body["metadata"]["namespace"])

    async def _handle(self, key: str) -> None:
        """Reconcile a run where this process serves; elsewhere the run is only observed."""
        assert self._reconciler is not None
        assert self._scope is not None
        run = self.cache.runs.get(key)
        if run is None or self._scope.serves(run.namespace):
            await self._reconciler.handle(key)
        else:
            self._reconciler.leave(key)

    def _changed(self, namespace: str | None) -> None:
        """Look again at the runs of a namespace that begins or ends to be served, and then also at those that rest."""
        assert self._scope is not None
        if self.serving:
            self._served.set()
        for run in self.cache.runs.values():
            if namespace in {None, run.namespace} and not (self._scope.serves(run.namespace) and self.cache.rests(run)):
                self.queue.add(run.key)

    def _start_task(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._exit_with)
        self._tasks.append(task)

    async def _beat(self) -> None:
        while True:
            self.queue.add(HEARTBEAT, first=True)  # ahead of all others: a long queue is healthy, a stuck one is not
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _wait_for_custom_resource(self, lister: Lister) -> None:
        """Wait until the API server serves TrainingRuns: kopf looks for the resource only once, after this."""
        while True:
            try:
                if await lister.is_served():
                    return
                self._health.waiting_for = f"the custom resource {PLURAL}.{GROUP} to be served"
            except KubeError as error:
                self._health.waiting_for = f"the API server: {error}"
            log.warning("waiting for %s", self._health.waiting_for)
            await asyncio.sleep(START_RETRY_SECONDS)

    def _exit_with(self, task: asyncio.Task[None]) -> None:
        """Exit when a task has ended by itself: without it the process only seems alive; a new one will be started."""
        if task.cancelled():
            return
        log.critical("task %s ended", task.get_name(), exc_info=task.exception())
        logging.shutdown()
        self._outside.exit(1)
