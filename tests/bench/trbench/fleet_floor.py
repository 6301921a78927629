"""`python3 -m trbench.fleet_floor KUBECONFIG RUNS`: what no operator can go below.

The same three Jobs for each run, each created as soon as the pod of the one before has succeeded, whose Job goes then:
one watch of pods, nothing else. It stores nothing, retries nothing and tells nobody.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

from trainingrun.api.names import LABEL_RUN, LABEL_STAGE, Stage, job_name
from trainingrun.builders.jobs import build_job
from trainingrun.domain.resolve import resolve
from trbench.fleet_site import NAMESPACES
from trchaosfleet.kube import Kube
from trfakes.builders import SETTINGS, a_run

AT_ONCE: Final = 16  # as many as the operator has workers
STAGES: Final = tuple(Stage)


class Floor:
    """Creates the Jobs of runs that exist only here."""

    def __init__(self, kube: Kube, *, runs: int) -> None:
        run = a_run("run").build()
        resolved = resolve(run, settings=SETTINGS, find_run=lambda _: None)
        self._bodies = {
            stage: json.dumps(
                build_job(run, stage=stage, attempt=1, resolved=resolved, digest="d1" * 32, settings=SETTINGS)
            )
            for stage in STAGES
        }
        self._kube, self._left = kube, runs
        self._jobs: dict[str, dict[str, Any]] = {}
        self._at_once, self._done = asyncio.Semaphore(AT_ONCE), asyncio.Event()
        self._seen: set[str] = set()

    async def run(self, names: list[tuple[str, str]]) -> None:
        """Carry out these runs (namespace and name)."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._follow(group))
            for namespace, name in names:
                group.create_task(self._create(namespace, name, STAGES[0]))
            await self._done.wait()
            watching.cancel()

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        async for kind, pod in self._kube.watch("pods", ""):
            meta = pod["metadata"]
            labels = meta.get("labels") or {}
            ended = pod["status"].get("phase") == "Succeeded" and meta["uid"] not in self._seen
            if kind != "DELETED" and ended and LABEL_STAGE in labels:
                self._seen.add(meta["uid"])
                group.create_task(self._go_on(meta["namespace"], labels[LABEL_RUN], Stage(labels[LABEL_STAGE])))

    async def _go_on(self, namespace: str, name: str, ended: Stage) -> None:
        following = STAGES[STAGES.index(ended) + 1 :]
        if following:
            await self._create(namespace, name, following[0])
        async with self._at_once:
            await self._kube.delete("jobs", job_name(name, stage=ended, attempt=1), namespace)
        if not following:
            self._left -= 1
            if not self._left:
                self._done.set()

    async def _create(self, namespace: str, name: str, stage: Stage) -> None:
        body = json.loads(self._bodies[stage].replace('"run"', json.dumps(name)))
        body["metadata"] |= {"name": job_name(name, stage=stage, attempt=1), "namespace": namespace}
        del body["metadata"]["ownerReferences"]
        async with self._at_once:
            await self._kube.create("jobs", body, namespace)


async def main() -> None:
    """Carry out so many runs, then end."""
    kubeconfig, runs = Path(sys.argv[1]), int(sys.argv[2])
    names = [(NAMESPACES[number % len(NAMESPACES)], f"run-{number}") for number in range(runs)]
    async with Kube(kubeconfig) as kube:
        await Floor(kube, runs=runs).run(names)


if __name__ == "__main__":
    asyncio.run(main())
