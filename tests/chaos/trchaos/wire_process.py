"""An operator as it runs in production, with kopf and HTTP clients, that can be killed and frozen like a modelled one.

Killed: its connections are broken first, so that nothing reaches the server any more, whatever its tasks still do.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, cast

from kopf._cogs.structs.credentials import Vault, VaultKey
from kopf._core.reactor.running import run_tasks, spawn_tasks
from kubernetes.aio import client as kubernetes

from trainingrun.api.settings import Settings
from trainingrun.handlers import NamedConnection, make_registry
from trainingrun.kube.client import USER_AGENT, Api
from trchaos.process import Process
from trchaos.watches import KINDS
from trchaos.wire_server import WATCHES, WireServer, WireWatch
from trchaos.world import World
from trfakes.builders import SETTINGS

if TYPE_CHECKING:
    from trchaos.watches import Watch


class WireProcess(Process):
    """An operator that connects to a server over HTTP."""

    def __init__(self, name: str, *, front: WireServer, **options: Any) -> None:
        self._front, self._stopping, self._vault = front, asyncio.Event(), Vault()
        self._api: Api | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(name, **options)

    def kill(self) -> None:
        self._stopping.set()  # kopf would otherwise end this process a while later, by SIGKILL
        self._front.disconnect(self.client)
        super().kill()
        self._front.disconnect(self.client)

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.wait({self._ended}, timeout=20)
        self.kill()

    async def close(self) -> None:
        """Free its connections, after its end."""
        await self._vault.close()
        if self._api is not None:
            await self._api.close()

    async def _connect(self) -> Api:  # type: ignore[override]
        configuration = kubernetes.Configuration()
        configuration.host = await self._front.url()
        configuration.api_key = {"BearerToken": f"Bearer {self.name}"}
        api_client = kubernetes.ApiClient(configuration)
        api_client.user_agent = USER_AGENT
        self._api = Api(api_client)
        return self._api

    async def _serve(self) -> None:
        try:
            await self._run_kopf()
            if not self._stopping.is_set():
                self._exit(0)
        except Exception as error:  # noqa: BLE001 - the process would end with it
            asyncio.get_running_loop().call_exception_handler({"message": "kopf has ended", "exception": error})
            self._exit(1)
        finally:
            if not self._ended.done():
                self._ended.set_result(None)

    async def _run_kopf(self) -> None:
        """What kopf.operator does, except that it leaves tasks of others alone at its end."""
        watches = [
            WireWatch(plural, namespace, chance=self._chance)
            for namespace in self.settings.namespaces or (None,)
            for plural in KINDS
        ]
        self.watches = cast("list[Watch]", watches)  # faults and rules handle them alike
        self._front.admit(self.client, watches)
        connection = NamedConnection(server=await self._front.url(), scheme="Bearer", token=f"{self.name}{WATCHES}")
        await self._vault.populate({VaultKey("login"): connection})
        roots = await spawn_tasks(
            registry=make_registry(self.operator),
            standalone=True,
            clusterwide=not self.settings.namespaces,
            namespaces=self.settings.namespaces,
            stop_flag=self._stopping,
            vault=self._vault,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await run_tasks(roots, ignored=_Others(self))


class _Others(Collection[Any]):
    """All tasks but those of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def __contains__(self, task: object) -> bool:
        return task not in self._process.tasks

    def __iter__(self) -> Iterator[Any]:
        return (task for task in asyncio.all_tasks() if task in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class WireWorld(World):
    """A world whose operators reach the server over HTTP."""

    def __init__(self, seed: int, settings: Settings = SETTINGS) -> None:
        super().__init__(seed, settings)
        self.front = WireServer(self.server, chance=self.chance("wire"))
        self._starting = self.loop.create_task(self.front.start())

    async def close(self) -> None:
        for process in self.processes:
            assert isinstance(process, WireProcess)
            await process.close()
        await self.front.__aexit__()

    def make_process(self, name: str, **options: Any) -> Process:
        return WireProcess(name, front=self.front, **options)
