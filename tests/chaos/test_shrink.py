"""A schedule is shrunk to what matters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trchaos import shrink
from trchaos.agents import End
from trchaos.cluster import Wish
from trchaos.execution import Report
from trchaos.rules.rule import Violation
from trchaos.schedule import Fault, RunPlan, Schedule

RUNS = tuple(RunPlan(f"run-{number}", spec={"retry": 1}, wish=Wish({"prep": (End("crash"),)})) for number in range(6))
FAULTS = tuple(Fault(float(at) + 0.25, "watches cut", {"of": "", "compacted": at == 7}) for at in range(20))


def test_only_what_the_violation_needs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(schedule: Schedule) -> Report:
        names = {run.name for run in schedule.runs}
        times = {int(fault.at) for fault in schedule.faults}
        broken = "run-4" in names and {7, 13} <= times
        found = [Violation(1.0, "a rule", "", "")] if broken else [Violation(1.0, "another rule", "", "")]
        return Report(schedule.seed, violations=found)

    monkeypatch.setattr(shrink, "execute", execute)
    smaller = shrink.shrink(Schedule(5, RUNS, FAULTS, progress=True), "a rule")
    assert [run.name for run in smaller.runs] == ["run-4"]
    assert smaller.runs[0] == replace(RunPlan("run-4"))
    assert [fault.at for fault in smaller.faults] == [7.0, 13.0]
    assert not smaller.progress
    assert "watches cut: of , compacted True" in shrink.as_text(smaller)


def test_what_breaks_no_rule_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrink, "execute", lambda schedule: Report(schedule.seed))
    schedule = Schedule(5, RUNS, FAULTS)
    assert shrink.shrink(schedule, "a rule") == schedule
