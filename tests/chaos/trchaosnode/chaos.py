"""Carry a plan out: the runs of each lane one after the other, the lanes at the same time."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from trchaosnode.hit import BrokenPromiseError, Outcome
from trchaosnode.plan import Plan, PlannedRun
from trchaosnode.suffering_run import StoppedError, SufferingRun
from trchaosnode.world import World
from trdemo.installation import Object


class Chaos:
    """A plan that is carried out; `outcomes` are those of all faults that are over, `errors` what went wrong."""

    def __init__(self, world: World, plan: Plan, run_of: Callable[[PlannedRun], Object]) -> None:
        self._world, self._plan, self._run_of = world, plan, run_of
        self.outcomes: list[Outcome] = []
        self.errors: list[str] = []

    def go(self) -> None:
        """Carry the plan out until every run has ended, or one has broken a promise."""
        # Daemons, so that an interrupted program does not wait for them.
        lanes = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in self._plan.lanes]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    def _lane(self, runs: tuple[PlannedRun, ...]) -> None:
        for planned in runs:
            suffering = SufferingRun(self._world, planned, self._run_of(planned))
            try:
                suffering.go()
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - reported with what the cluster shows
                self._world.failed.set()
                what = str(error) if isinstance(error, BrokenPromiseError) else traceback.format_exc()
                self.errors.append(f"{planned.name}: {what}\n{self._world.faults.diagnostics(planned.name)}")
                return
            finally:
                self.outcomes += suffering.outcomes
            self._world.echo(f"{planned.name} has succeeded after {len(planned.faults)} faults")
