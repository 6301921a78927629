"""Schedules follow from their seeds, and survive being written and read."""

from __future__ import annotations

import json
import random

import pytest

from trchaos import faults
from trchaos.execution import ends_of
from trchaos.schedule import NAMESPACES, Fault, RunPlan, Schedule, make


def test_the_schedule_of_a_seed_is_always_the_same() -> None:
    assert make(17) == make(17)
    assert make(17) != make(18)


def test_a_schedule_survives_json() -> None:
    for seed in range(50):
        schedule = make(seed)
        assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == _with_lists(schedule)


def _with_lists(schedule: Schedule) -> Schedule:
    """JSON knows no tuples in values."""
    return Schedule.from_json(schedule.to_json())


def test_seeds_draw_every_kind_of_fault_and_runs_by_the_dozen() -> None:
    schedules = [make(seed) for seed in range(600)]
    assert {fault.kind for schedule in schedules for fault in schedule.faults} == set(faults.KINDS)
    assert max(len(schedule.runs) for schedule in schedules) >= 20
    assert {run.namespace for schedule in schedules for run in schedule.runs} == set(NAMESPACES)


@pytest.mark.parametrize("kind", sorted(faults.KINDS))
def test_what_a_kind_draws_is_json(kind: str) -> None:
    chance = random.Random(kind)
    for _ in range(20):
        values = faults.KINDS[kind].draw(chance, (RunPlan("run-0"), RunPlan("run-1", "vision")))
        assert json.loads(json.dumps(values)) == values
        assert faults.KINDS[kind].lasts(values) >= 0.0


def test_causes_end_after_the_last_run_and_the_longest_fault() -> None:
    lasts = Fault(100.0, "quota full", {"namespace": "default", "seconds": 900.0})
    assert ends_of(Schedule(0, (RunPlan("run-0", at=20.0),), (lasts,))) == 1000.0
    assert ends_of(Schedule(0, (RunPlan("run-0", at=20.0),), ())) == 20.0
