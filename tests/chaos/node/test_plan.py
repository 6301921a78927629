"""A plan is made by its seed, and has what it promises for every seed."""

from __future__ import annotations

from collections import Counter

import pytest

from trchaosnode.kinds import CRASH, EFFECTS, QUICK, Kind, Stage
from trchaosnode.plan import FAULTS, LANES, PER_RUN, make

SEEDS = range(200)


def test_a_seed_repeats_its_plan_and_another_one_makes_another() -> None:
    assert make(7) == make(7)
    assert len({make(seed).lanes for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("faults", [3, 18, FAULTS, 200])
def test_every_plan_has_as_many_faults_as_asked_for(faults: int) -> None:
    assert {len(make(seed, faults=faults).faults) for seed in SEEDS} == {faults}


def test_every_full_plan_has_every_kind_in_every_stage_and_loses_the_node_once() -> None:
    for seed in SEEDS:
        found = Counter((fault.kind, fault.stage) for fault in make(seed).faults)
        assert found.keys() == EFFECTS.keys()
        assert found[Kind.NODE_LOST, Stage.TRAIN] == 1


def test_faults_of_a_run_are_in_the_order_of_its_stages_and_their_crashes_are_shared_out() -> None:
    for seed in SEEDS:
        runs = [run for lane in make(seed).lanes for run in lane]
        crashes = [sum(fault.effect.outcome == CRASH for fault in run.faults) for run in runs]
        assert max(crashes) - min(crashes) <= 1
        assert all(len(run.faults) <= PER_RUN for run in runs)
        for run in runs:
            order = [list(Stage).index(fault.stage) for fault in run.faults]
            assert order == sorted(order)


def test_lanes_share_the_runs_and_their_names_differ() -> None:
    plan = make(3)
    assert len(plan.lanes) == LANES
    assert max(map(len, plan.lanes)) - min(map(len, plan.lanes)) <= 1
    names = [run.name for lane in plan.lanes for run in lane]
    assert len(names) == len(set(names)) == FAULTS // PER_RUN


def test_only_chosen_kinds_are_drawn_and_last_as_long_as_they_may() -> None:
    for seed in SEEDS:
        faults = make(seed, faults=12, lanes=1, cards=QUICK).faults
        assert {(fault.kind, fault.stage) for fault in faults} == set(QUICK)
        for fault in faults:
            shortest, longest = fault.effect.outage
            assert shortest <= fault.outage <= longest
            assert 0 <= fault.part < 1


def test_moments_are_spread_over_the_interval() -> None:
    parts = [fault.part for seed in SEEDS for fault in make(seed).faults]
    for tenth in range(10):
        share = sum(tenth / 10 <= part < (tenth + 1) / 10 for part in parts) / len(parts)
        assert share == pytest.approx(0.1, abs=0.02)
