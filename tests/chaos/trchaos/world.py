"""A whole world in virtual time: server, cluster, users, operators, and the faults of one schedule."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trainingrun.api.settings import Settings
from trchaos.cluster import Cluster, Wish
from trchaos.moments import Moments
from trchaos.process import Process, own_tasks
from trchaos.server import ModelServer
from trchaos.store import ChaosStore
from trfakes.builders import SETTINGS

LOG_SECONDS: Final = 60.0  # between two lines of an agent about its progress
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """Everything; each part has its own sequence of chance, so that leaving a fault out changes no other part."""

    def __init__(self, seed: int, settings: Settings = SETTINGS) -> None:
        self.loop = asyncio.get_running_loop()
        own_tasks(self.loop)
        self.seed, self.settings = seed, settings
        self.server_skew = 0.0
        self.store = ChaosStore(now=self.now, chance=self.chance("collector"))
        self.server = ModelServer(self.store, chance=self.chance("server"))
        self.wishes: dict[str, Wish] = {}
        self.cluster = Cluster(
            self.store,
            chance=self.chance("cluster"),
            wish_of=lambda key: self.wishes.get(key, Wish()),
            updated=self.store.now_text,
        )
        self.server.answers.logs = Logs(self)
        self.moments = Moments(self)
        self.processes: list[Process] = []

    def chance(self, part: str) -> random.Random:
        return random.Random(f"{self.seed} {part}")

    def now(self) -> datetime:
        """Time on the API server and the nodes."""
        return START + timedelta(seconds=self.loop.time() + self.server_skew)

    def true_now(self) -> datetime:
        return START + timedelta(seconds=self.loop.time())

    def start_operator(self, name: str = "operator", **settings: Any) -> Process:
        """Start one more operator process."""
        number = len(self.processes)
        process = self.make_process(
            f"{name}-{number}",
            server=self.server,
            settings=replace(self.settings, pod_name=f"{name}-{number}", **settings),
            agents=self.cluster.agents,
            now=self.true_now,
            chance=self.chance(f"process {number}"),
        )
        self.processes.append(process)
        return process

    def make_process(self, name: str, **options: Any) -> Process:
        """Make a process; other worlds have others."""
        return Process(name, **options)

    async def close(self) -> None:
        """Free what the world has taken from the machine: nothing in the model."""

    def create_run(self, body: dict[str, Any], wish: Wish, *, namespace: str = "default") -> None:
        self.wishes[f"{namespace}/{body['metadata']['name']}"] = wish
        self.store.create("trainingruns", body, namespace=namespace)

    def keep_one_operator(self) -> None:
        """Start an operator unless one lives."""
        if not any(process.alive for process in self.processes):
            self.start_operator()

    def settled(self) -> bool:
        """Whether every run has ended, and an operator lives."""
        if not any(process.alive for process in self.processes):
            return False
        return all(_is_finished(body) for body in self.store.select("trainingruns"))


class Logs(dict[str, str]):
    """The logs of agents, by pod: their last line is as old as the last that they wrote."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def get(self, name: str, default: Any = "") -> Any:
        now = self._world.loop.time()
        for played in self._world.cluster.pods.values():
            if played.name == name and played.life is not None:
                begun = played.life.started_at
                written = begun + (now - begun) // LOG_SECONDS * LOG_SECONDS  # the same for whoever reads this line
                at = (self._world.now() - timedelta(seconds=now - written)).strftime("%Y-%m-%dT%H:%M:%SZ")
                return f"progress {played.life.progress(written, updated=at).decode()}\n"
        return default


def _is_finished(run: dict[str, Any]) -> bool:
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)
