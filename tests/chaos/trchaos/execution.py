"""Execute one schedule: create its runs, let its faults happen, wait until all is settled, check."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from trchaos import faults
from trchaos.invariants import Invariants, Violation
from trchaos.loop import HotLoopError, StuckError, run_virtual
from trchaos.schedule import Fault, RunPlan, Schedule
from trchaos.world import World
from trfakes.builders import a_run

SETTLE_SECONDS: Final = 4 * 3600.0  # after the last fault, within which every run ends
LOOK_SECONDS: Final = 30.0


@dataclass
class Report:
    """What one execution showed."""

    seed: int
    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    seconds: float = 0.0  # of virtual time
    violations: list[Violation] = field(default_factory=list)


def execute(schedule: Schedule) -> Report:
    """Execute a schedule in virtual time."""
    report = Report(schedule.seed, runs=len(schedule.runs), faults=Counter(f.kind for f in schedule.faults))
    try:
        run_virtual(_execute(schedule, report))
    except (HotLoopError, StuckError) as error:
        report.violations.append(Violation(report.seconds, "no hot loop", "", str(error)))
    return report


async def _execute(schedule: Schedule, report: Report) -> None:
    world = World(schedule.seed)
    world.cluster.agents.reaches = schedule.progress
    invariants = Invariants(world)
    report.violations = invariants.violations
    world.start_operator()
    for plan in schedule.runs:
        world.loop.call_later(plan.at, _create, world, plan)
    for fault in schedule.faults:
        world.loop.call_later(fault.at, _happen, world, fault)
    last = max([run.at for run in schedule.runs] + [fault.at for fault in schedule.faults], default=0.0)
    await asyncio.sleep(last + 1.0)
    while world.loop.time() < last + SETTLE_SECONDS and not world.settled():
        await asyncio.sleep(LOOK_SECONDS)
    invariants.finish()
    report.requests, report.seconds = len(world.server.requests), world.loop.time()
    for process in world.processes:
        process.kill()
    await asyncio.sleep(0)


def _create(world: World, plan: RunPlan) -> None:
    world.create_run(a_run(plan.name).spec(**plan.spec).body(), plan.wish, namespace=plan.namespace)


def _happen(world: World, fault: Fault) -> None:
    faults.KINDS[fault.kind].happen(world, fault.values)
