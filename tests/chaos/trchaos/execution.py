"""Execute one schedule: create its runs, let its faults happen, wait until all is settled, check."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from trainingrun.api.settings import Settings
from trchaos import faults
from trchaos.invariants import Invariants
from trchaos.loop import HotLoopError, StuckError, run_virtual
from trchaos.operator_faults import MAIN, keep_running, running
from trchaos.quiet import settle, waits_for_its_user
from trchaos.rules.rule import Violation
from trchaos.schedule import Fault, RunPlan, Schedule
from trchaos.trace import Trace
from trchaos.world import World
from trfakes.builders import SETTINGS, a_run

SETTLE_SECONDS: Final = 6 * 3600.0  # from the end of the last cause; three stages may use up every back-off
LOOK_SECONDS: Final = 30.0
SOON_SECONDS: Final = 600.0  # runs that are deleted so soon after their end are waited for
REAL_SECONDS: Final = 120  # that one execution may take; it is in an endless loop otherwise


@dataclass
class Report:
    """What one execution showed."""

    seed: int
    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    seconds: float = 0.0  # of virtual time
    violations: list[Violation] = field(default_factory=list)


class EndlessError(KeyboardInterrupt):
    """An execution does not end; of all exceptions, only such ones pass through the tasks of an event loop."""


def execute(
    schedule: Schedule,
    *,
    trace: Trace | None = None,
    make_world: Callable[[int, Settings], World] = World,
    run: Callable[[Coroutine[Any, Any, None]], None] = run_virtual,
) -> Report:
    """Execute a schedule in virtual time; what happens is written to `trace`."""
    report = Report(schedule.seed, runs=len(schedule.runs))
    try:
        with _limited(REAL_SECONDS):
            run(_Execution(schedule, report, trace, make_world).run())
    except (HotLoopError, StuckError, EndlessError) as error:
        report.violations.append(Violation(report.seconds, "no hot loop", "", str(error)))
    return report


class _Execution:
    """One execution, from an empty cluster to its end."""

    def __init__(
        self, schedule: Schedule, report: Report, trace: Trace | None, make_world: Callable[[int, Settings], World]
    ) -> None:
        self._schedule, self._report, self._trace, self._make_world = schedule, report, trace, make_world
        self._ends = 0.0  # when the causes of all faults are gone
        self._settled = False

    async def run(self) -> None:
        schedule, report = self._schedule, self._report
        world = self._make_world(schedule.seed, replace(SETTINGS, namespaces=schedule.namespaces))
        world.cluster.agents.reaches = schedule.progress
        world.loop.set_exception_handler(self._failed)
        invariants = Invariants(world)
        report.violations = invariants.violations
        if self._trace is not None:
            self._trace.watch(world)
        world.start_operator(MAIN)
        for plan in schedule.runs:
            world.loop.call_later(plan.at, self._create, world, plan)
        self._ends = ends_of(schedule)
        for fault in schedule.faults:
            self._plan(world, fault)
        try:
            await self._settle(world, invariants)
        finally:
            invariants.close()
            report.requests, report.seconds = len(world.server.requests), world.loop.time()
            for process in world.processes:
                process.kill()
            await asyncio.sleep(0)
            await world.close()

    async def _settle(self, world: World, invariants: Invariants) -> None:
        """Wait until all causes are gone and all runs have ended, then check what must hold in the quiet."""
        while (now := world.loop.time()) < self._ends + SETTLE_SECONDS:
            if now > self._ends + 1.0:
                keep_running(world)
                if is_settled(world):
                    break
            await asyncio.sleep(max(LOOK_SECONDS, self._ends + 1.5 - now))
        self._settled = True
        await settle(world, invariants, rests=is_settled(world))

    def _create(self, world: World, plan: RunPlan) -> None:
        self._note(world, f"user creates {plan.namespace}/{plan.name}")
        if not world.store.accepts(plan.namespace):
            return
        world.create_run(a_run(plan.name).spec(**plan.spec).body(), plan.wish, namespace=plan.namespace)

    def _plan(self, world: World, fault: Fault) -> None:
        """Let a fault happen at its time: so many seconds after the start, or after a moment in the life of a run."""
        if fault.after is None:
            world.loop.call_later(fault.at, self._happen, world, fault)
        else:
            world.moments.wait(fault.after, lambda: world.loop.call_later(fault.at, self._happen, world, fault))

    def _happen(self, world: World, fault: Fault) -> None:
        if self._settled:
            return  # its moment came when the end was checked
        self._note(world, f"FAULT {fault.kind}: {dict(fault.values)}")
        self._report.faults[fault.kind] += 1
        kind = faults.KINDS[fault.kind]
        self._ends = max(self._ends, world.loop.time() + kind.lasts(fault.values))
        kind.happen(world, fault.values)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised: the model is wrong, or the operator has an error that it does not catch."""
        error = context.get("exception")
        where = "".join(traceback.format_exception(error)[-3:]) if error is not None else ""
        text = f"{str(context.get('message'))[:80]}: {error!r} {where}"
        self._report.violations.append(Violation(loop.time(), "nothing raises", "", text))

    def _note(self, world: World, text: str) -> None:
        if self._trace is not None:
            self._trace.note(world.loop.time(), text)


def ends_of(schedule: Schedule) -> float:
    """When all runs are created and the causes of all faults are gone whose time is known."""
    timed = [fault for fault in schedule.faults if fault.after is None]
    ends = [fault.at + faults.KINDS[fault.kind].lasts(fault.values) for fault in timed]
    return max([*ends, *(plan.at for plan in schedule.runs)], default=0.0)


def is_settled(world: World) -> bool:
    """Whether the operator lives and every run has ended, or waits for its user."""
    return running(world, MAIN) is not None and all(
        _is_at_rest(world, run) for run in world.store.select("trainingruns")
    )


def _is_at_rest(world: World, run: dict[str, Any]) -> bool:
    spec, status = run.get("spec") or {}, run.get("status") or {}
    found = {c["type"]: c for c in status.get("conditions") or ()}
    if found.get("Finished", {}).get("status") == "True":
        ttl = spec.get("ttlSecondsAfterFinished")
        retried = status.get("retry", 0) < spec.get("retry", 0)
        return not retried and (ttl is None or ttl > SOON_SECONDS)
    if waits_for_its_user(world, status):
        return True
    return bool(spec.get("suspend")) and any(c.get("reason") == "Suspended" for c in found.values())


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise EndlessError when the block takes more CPU time, and again if it does not end then.

    Only the main thread can be interrupted so.
    """

    def end(*_: object) -> None:
        raise EndlessError(f"not done after {seconds} s of the CPU's time")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
