"""One schedule: runs are created, things go wrong for a while, all is healed, and the runs have to end as they must."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trainingrun.api.conditions import FINISHED
from trchaosfleet import checks
from trchaosfleet.events import Birth, Happening, draw_births, draw_happenings, draw_unseen
from trchaosfleet.kube import Kube, server_tls
from trchaosfleet.kubelets import Kubelets
from trchaosfleet.ledger import Ledger, is_true
from trchaosfleet.operators import LOST_POD_SECONDS, OperatorProcess
from trchaosfleet.seeding import seeded
from trchaosfleet.site import Lane, clear
from trchaosfleet.steady import SteadyClock
from trchaosfleet.trace import Trace
from trchaosfleet.traffic import Traffic
from trchaosfleet.weather import Weather, draw_windows
from trchaosfleet.world import World

RUNS: Final = (10, 24)
FAULTS_SECONDS: Final = 20.0
START_SECONDS: Final = 120.0  # until the first operator serves, on a busy machine
SETTLE_SECONDS: Final = 45.0  # in which every run that has not ended must come further
ALL_SECONDS: Final = 300.0  # on a busy machine; on an idle one nothing takes forty
LAST_SECONDS: Final = 6.0  # for deletions of Jobs and Events after the last run has ended
QUIET_SECONDS: Final = 20.0
CLEAR_SECONDS: Final = 40.0


class NotSettledError(Exception):
    """Runs go on, or stand still, after the last fault: nothing that follows can be judged."""


@dataclass
class Result:
    """What a schedule has shown."""

    seed: int
    runs: int
    faults: Counter[str]
    requests_per_run: float
    most_requests: int
    settled_seconds: float
    seconds: float
    violations: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """Everything that a seed decides."""

    births: list[Birth]
    happenings: list[Happening]
    windows: int
    second_operator_at: float | None


def draw(seed: int, *, namespaces: int) -> Plan:
    """Draw a schedule."""
    rng = seeded(f"plan {seed}")
    runs = rng.randint(*RUNS)
    return Plan(
        births=draw_births(rng, seconds=FAULTS_SECONDS / 2, runs=runs, namespaces=namespaces),
        happenings=[
            *draw_happenings(rng, seconds=FAULTS_SECONDS, runs=runs),
            *draw_unseen(seeded(f"unseen {seed}"), seconds=FAULTS_SECONDS),
        ],
        windows=rng.randint(8, 20),
        second_operator_at=rng.uniform(0.0, FAULTS_SECONDS) if rng.random() < 0.5 else None,
    )


class Schedule:
    """One seed on one lane."""

    def __init__(self, seed: int, kube: Kube, lane: Lane, folder: Path, kubeconfig: Path) -> None:
        self._seed, self._kube, self._lane, self._folder = seed, kube, lane, folder
        self._tls = server_tls(kubeconfig)
        self.plan = draw(seed, namespaces=len(lane.namespaces))
        self.trace = Trace(folder / "trace.log")
        self.ledger = Ledger(seed=seed, lost_after=LOST_POD_SECONDS, trace=self.trace)
        self.traffic = Traffic(lane.namespaces, self.ledger.violate, self.trace)
        self.kubelets = Kubelets(kube, self.ledger, seeded(f"kubelets {seed}"))
        self._began = float("inf")  # no fault before the first operator serves
        rng = seeded(f"weather {seed}")
        windows = draw_windows(rng, seconds=FAULTS_SECONDS, count=self.plan.windows)
        self.weather = Weather(windows, rng, self._passed, self.trace)
        self._clock = SteadyClock(kube)
        self._operators: list[OperatorProcess] = []

    async def run(self) -> Result:
        """Carry the schedule out and judge it."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            stack.callback(self.trace.close)
            self._operators = await self._prepare_operators(stack)
            await stack.enter_async_context(self._following())
            world = World(self._kube, self.ledger, self.kubelets, self._operators, self._lane.namespaces, self.weather)
            await self._operators[0].start()
            async with asyncio.timeout(START_SECONDS):
                await self.traffic.begun.wait()
            self._began = time.monotonic()
            await self._disturb(world)
            await world.heal()
            settled = float("nan")
            try:
                settled = await self._settle()
                await self._stay_quiet()
                self._see_orphans(await self._children())
            except NotSettledError as error:
                self.ledger.violate(str(error))
            checks.check(self.ledger, dict(self.traffic.requests))
            left = await clear(self._kube, self._lane, seconds=CLEAR_SECONDS)
            if left:
                self.ledger.violate(f"left after all runs were deleted: {left[:5]}")
            for operator in self._operators:
                if operator.exits:
                    self.ledger.violate(f"{operator.name} has ended by itself: exit codes {operator.exits}")
            for failure in self.kubelets.failures:
                self.ledger.violate(f"the kubelets failed: {failure!r}")
        faults = self.weather.injected + world.happened
        faults["second operator"] += self.plan.second_operator_at is not None
        counts = list(self.traffic.requests.values())
        return Result(
            self._seed,
            len(self.ledger.runs),
            faults,
            sum(counts) / max(1, len(self.ledger.runs)),
            max(counts, default=0),
            settled,
            time.monotonic() - began,
            self.ledger.violations,
        )

    def _passed(self) -> float:
        return time.monotonic() - self._began

    async def _prepare_operators(self, stack: AsyncExitStack) -> list[OperatorProcess]:
        token = await asyncio.to_thread(self._lane.token)
        made = [
            OperatorProcess(
                f"operator-{number}",
                folder=self._folder,
                environment=self._lane.environment,
                token=token,
                server=self._kube.server,
                tls=self._tls,
                faults=self.weather,
                sees=self.traffic,
            )
            for number in (1, 2)
        ]
        for operator in made:
            await stack.enter_async_context(operator.proxy)
            stack.push_async_callback(operator.kill)
            stack.callback(operator.resume)
        return made

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        """Watch everything while the schedule lasts."""
        tasks = [asyncio.create_task(work) for work in self._watches()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    self.ledger.violate(f"a watch of the schedule failed: {outcome!r}")
            await self.kubelets.close()

    def _watches(self) -> list[Coroutine[Any, Any, None]]:
        works: list[Coroutine[Any, Any, None]] = [self._clock.run()]
        for namespace in self._lane.namespaces:
            works += [
                self.kubelets.follow(namespace),
                self._follow("trainingruns", namespace),
                self._follow("jobs", namespace),
            ]
        return works

    async def _follow(self, plural: str, namespace: str) -> None:
        see = self.ledger.see_run if plural == "trainingruns" else self.ledger.see_job
        async for kind, body in self._kube.watch(plural, namespace):
            see(kind, body)

    async def _disturb(self, world: World) -> None:
        """Let everything happen that was drawn, and wait until the last of it is over."""
        async with asyncio.TaskGroup() as group:
            for birth in self.plan.births:
                group.create_task(self._later(birth.at, world.create(birth)))
            for happening in self.plan.happenings:
                group.create_task(self._later(happening.at, world.happen(happening)))
            if self.plan.second_operator_at is not None:
                group.create_task(self._later(self.plan.second_operator_at, self._operators[1].start()))

    async def _later(self, seconds: float, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(seconds - self._passed())
        await work

    async def _settle(self) -> float:
        """Wait until every run has ended, or is gone; return how long that took after the last fault."""
        began = time.monotonic()
        moved = dict.fromkeys(self.ledger.runs, (self._clock.seconds, 0))
        while time.monotonic() - began < ALL_SECONDS:
            waiting = [run for run in self.ledger.runs.values() if not self._is_over(run.uid)]
            if not waiting:
                return time.monotonic() - began
            for run in waiting:
                since, version = moved.get(run.uid, (self._clock.seconds, 0))
                newest = run.statuses[-1][0] if run.statuses else 0
                if newest != version:
                    moved[run.uid] = (self._clock.seconds, newest)
                elif self._clock.seconds - since > SETTLE_SECONDS:
                    raise NotSettledError(f"{run.namespace}/{run.name} stands still for {SETTLE_SECONDS:.0f} s")
            await asyncio.sleep(0.2)
        raise NotSettledError(f"runs have not ended {ALL_SECONDS:.0f} s after the last fault")

    def _is_over(self, uid: str) -> bool:
        run = self.ledger.runs[uid]
        expires = run.body["spec"].get("ttlSecondsAfterFinished") is not None
        return run.gone or (is_true(run.status, FINISHED) and not expires)

    async def _stay_quiet(self) -> None:
        """Check that nothing is written any more once nothing changes."""
        await asyncio.sleep(LAST_SECONDS)
        since = time.monotonic()
        await asyncio.sleep(QUIET_SECONDS)
        for text in self.traffic.writes_since(since)[:5]:
            self.ledger.violate(f"a write without news: {text}")

    async def _children(self) -> list[tuple[str, str]]:
        """Children of runs: what they are, and the UID of the run that owns them."""
        return [
            (f"{plural}/{body['metadata']['name']}", owner["uid"])
            for namespace in self._lane.namespaces
            for plural in ("jobs", "configmaps", "deployments", "services")
            for body in await self._kube.list(plural, namespace)
            for owner in body["metadata"].get("ownerReferences") or ()
            if owner["kind"] == "TrainingRun"
        ]

    def _see_orphans(self, children: list[tuple[str, str]]) -> None:
        for what, uid in children:
            run = self.ledger.runs.get(uid)
            if run is None or run.gone:
                self.ledger.violate(f"{what} is left without its run")
