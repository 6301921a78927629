"""HTTP for the kubelet and Prometheus: /healthz checks that the queue is served, /readyz that a namespace is."""

from __future__ import annotations

from collections import Counter
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.names import Phase
from trainingrun.engine import metrics
from trainingrun.engine.cache import Cache
from trainingrun.engine.reconciler import Reconciler
from trainingrun.engine.scope import Scope
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.plain_text import plain

MAX_HEARTBEAT_AGE_SECONDS: Final = 60.0


class Health:
    """HTTP server of /healthz, /readyz and /metrics."""

    def __init__(self, *, port: int, clock: Clock = SYSTEM) -> None:
        self._port, self._clock = port, clock
        self._runner: web.AppRunner | None = None
        self._parts: tuple[Cache, WorkQueue, Reconciler, Scope] | None = None
        self.waiting_for = "the API server"

    async def start(self) -> None:
        """Listen; until `working` is called, /readyz answers 503 with what the operator waits for."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "0.0.0.0", self._port).start()  # noqa: S104 - probed from outside the pod

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def working(self, cache: Cache, queue: WorkQueue, reconciler: Reconciler, scope: Scope) -> None:
        """Report from now on whether the loop runs and what it serves."""
        self._parts = (cache, queue, reconciler, scope)

    async def _healthz(self, _request: web.Request) -> web.Response:
        if self._parts is None:
            return web.Response(text="starting\n")
        age = self._clock.monotonic() - self._parts[2].heartbeat
        if age > MAX_HEARTBEAT_AGE_SECONDS:
            return web.Response(status=503, text=f"the queue was not served for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self._parts is None:
            return web.Response(status=503, text=f"waiting for {plain(self.waiting_for)}\n")
        scope = self._parts[3]
        lines = ["ok" if scope.ready else "waiting", *scope.unserved()]
        return web.Response(status=200 if scope.ready else 503, text="".join(f"{plain(line)}\n" for line in lines))

    async def _metrics(self, _request: web.Request) -> web.Response:
        if self._parts is not None:
            cache, queue, reconciler, scope = self._parts
            metrics.QUEUE_DEPTH.set(len(queue))
            metrics.HEARTBEAT_AGE.set(self._clock.monotonic() - reconciler.heartbeat)
            scope.measure()
            phases = Counter(phase for key, phase in cache.phases.items() if scope.serves(key.partition("/")[0]))
            for phase in Phase:
                metrics.RUNS.labels(str(phase)).set(phases[str(phase)])
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
