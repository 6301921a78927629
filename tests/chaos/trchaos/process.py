"""One operator process in the model: it can be killed between any two of its steps, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextvars
import random
import types
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from trainingrun.api.clock import Clock
from trainingrun.api.settings import Settings
from trainingrun.engine.agents import Agents
from trainingrun.engine.operator import Operator
from trainingrun.engine.outside import Outside
from trchaos.server import Client, ModelApi, ModelServer
from trchaos.watches import Watch

T = TypeVar("T")
_OWNER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("owner", default=None)


class Process:
    """An operator with its watches; `skew` is by how many seconds the clock of its node is ahead."""

    def __init__(
        self,
        name: str,
        *,
        server: ModelServer,
        settings: Settings,
        agents: Agents,
        now: Callable[[], datetime],
        chance: random.Random,
    ) -> None:
        self.name, self.skew = name, 0.0
        self.client = Client(name)
        self.client.on_death = self.kill
        self.tasks: dict[asyncio.Task[Any], None] = {}  # in the order of their beginning
        self.thaw: asyncio.Future[None] | None = None  # while it stands still
        self.exited = False  # by itself, which it never should
        self.settings = settings
        self._server, self._chance = server, chance
        loop = asyncio.get_running_loop()
        outside = Outside(
            clock=Clock(now=lambda: now() + timedelta(seconds=self.skew), monotonic=loop.time),
            connect=self._connect,
            agents=agents,
            jitter=chance.random,
            serves_probes=False,
            exit=self._exit,
        )
        self.operator = Operator(settings, outside=outside)
        self.watches: list[Watch] = []
        self._start(self._serve())

    @property
    def alive(self) -> bool:
        return not self.client.dead

    def kill(self) -> None:
        """End it now: what it has sent may still take effect, and nothing reaches it any more."""
        self.client.dead = True
        for watch in self.watches:
            if watch.stream is not None:
                watch.stream.cut()
        for task in list(self.tasks):
            task.cancel()

    def freeze(self, seconds: float) -> None:
        """Let it stand still for a while; its timers and what it receives come late."""
        loop = asyncio.get_running_loop()
        until = max(self.client.frozen_until, loop.time() + seconds)
        self.client.frozen_until = until
        if self.thaw is None:
            self.thaw = loop.create_future()
        loop.call_at(until, self._go_on)

    def _go_on(self) -> None:
        if self.thaw is not None and asyncio.get_running_loop().time() >= self.client.frozen_until:
            thaw, self.thaw = self.thaw, None
            thaw.set_result(None)

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        for watch in self.watches:
            if watch.stream is not None:
                watch.stream.cut()
        stopping = self._start(self.operator.stop())
        await asyncio.wait({stopping}, timeout=20)
        self.kill()

    async def _connect(self) -> ModelApi:
        return ModelApi(self._server, self.client)

    async def _serve(self) -> None:
        await self.operator.start()
        saws = {
            "trainingruns": self.operator.saw_run,
            "jobs": self.operator.saw_job,
            "pods": self.operator.saw_pod,
        }
        for namespace in self.settings.namespaces or (None,):
            for plural, saw in saws.items():
                watch = Watch(
                    self._server, self.client, plural=plural, namespace=namespace, saw=saw, chance=self._chance
                )
                self.watches.append(watch)
        await asyncio.gather(*(watch.keep() for watch in self.watches))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        context = contextvars.copy_context()
        context.run(_OWNER.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def _exit(self, _code: int) -> None:
        self.exited = True
        self.kill()


def own_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let each task belong to the process whose code has started it."""

    def make(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        context = options.get("context")
        owner = context.get(_OWNER) if context is not None else _OWNER.get()
        steps = _stoppable(coro, owner) if owner is not None else coro
        task: asyncio.Task[Any] = asyncio.Task(steps, loop=loop, **options)
        if owner is not None:
            owner.tasks[task] = None
            task.add_done_callback(lambda done: owner.tasks.pop(done, None))
            if not owner.alive:
                task.cancel()
                task.add_done_callback(lambda _: coro.close())  # it never begins
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]


@types.coroutine
def _stoppable(work: Coroutine[Any, Any, T], owner: Process) -> Generator[Any, Any, T]:
    """Run a coroutine step by step, and no step while its process stands still."""
    value: Any = None
    error: BaseException | None = None
    while True:
        while owner.thaw is not None and owner.alive:
            try:
                yield from asyncio.shield(owner.thaw)
            except asyncio.CancelledError as cancelled:
                error = cancelled
        try:
            awaited = work.send(value) if error is None else work.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        value, error = None, None
        try:
            value = yield awaited
        except BaseException as raised:  # noqa: BLE001 - handed on
            error = raised
