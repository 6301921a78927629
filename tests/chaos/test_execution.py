"""Executions: the same every time, with every kind of fault, and what breaks a rule is seen."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from trainingrun.engine.reconciler import Reconciler
from trchaos import execution, faults
from trchaos.execution import execute
from trchaos.rules.processes import log_errors_only
from trchaos.schedule import Fault, RunPlan, Schedule, make
from trchaos.trace import Trace

RUNS = (RunPlan("run-0"),)
SAME = 24  # this seed has several runs and many faults


def test_a_seed_gives_the_same_trace_in_two_processes() -> None:
    program = (
        "import logging; from trchaos.execution import execute; from trchaos.schedule import make;"
        "from trchaos.trace import Trace; trace = Trace(); logging.disable(logging.CRITICAL);"
        f"[execute(make(seed), trace=trace) for seed in ({SAME}, 2)]; print(trace.digest, len(trace.lines))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**env, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for hash_seed in ("0", "1")
    ]
    assert printed[0] == printed[1]
    assert int(printed[0].split()[1]) > 100


def test_without_faults_a_run_succeeds() -> None:
    trace = Trace()
    report = execute(Schedule(1, (RunPlan("run-0"),), ()), trace=trace)
    assert report.violations == []
    assert "Succeeded=T" in "\n".join(trace.lines)


@pytest.mark.parametrize("kind", sorted(faults.KINDS))
def test_no_kind_of_fault_breaks_a_rule(kind: str) -> None:
    chance = random.Random(kind)
    chosen = [
        Fault(round(chance.uniform(5.0, 300.0), 1), kind, faults.KINDS[kind].draw(chance, RUNS)) for _ in range(2)
    ]
    schedule = Schedule(3, RUNS, tuple(sorted(chosen, key=lambda fault: fault.at)))
    report = execute(schedule)
    assert report.violations == []
    assert report.faults == Counter({kind: 2})


def test_a_run_that_does_not_settle_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    never_ends = Fault(10.0, "quota full", {"namespace": "default", "seconds": 1e6})
    monkeypatch.setitem(faults.KINDS, "quota full", replace(faults.KINDS["quota full"], lasts=lambda _: 20.0))
    monkeypatch.setattr(execution, "SETTLE_SECONDS", 600.0)
    report = execute(Schedule(4, (RunPlan("run-0", at=20.0),), (never_ends,)))
    assert "every run ends" in {violation.rule for violation in report.violations}


def test_make_draws_what_execute_can_do() -> None:
    assert execute(make(SAME)).requests > 0


def test_an_execution_that_computes_without_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(execution, "REAL_SECONDS", 1)
    monkeypatch.setattr(execution.Invariants, "finish", compute)
    found = execute(Schedule(0, RUNS[:1], ()))
    assert [violation.text for violation in found.violations] == ["not done after 1 s of the CPU's time"]


def test_a_task_of_the_operator_that_computes_without_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task keeps almost every exception for whoever waits for it; and the next operator computes without end too."""

    async def compute(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(execution, "REAL_SECONDS", 1)
    monkeypatch.setattr(Reconciler, "handle", compute)
    found = execute(Schedule(0, RUNS[:1], ()))
    assert "not done after 1 s of the CPU's time" in {violation.text for violation in found.violations}


@pytest.fixture
def quiet() -> Iterator[None]:
    log_errors_only()
    yield
    logging.disable(logging.NOTSET)


def test_an_error_that_an_operator_catches_and_logs_is_seen_in_a_search(
    quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Reconciler._reconcile

    async def reconcile(self: Reconciler, key: str) -> None:
        await whole(self, key)
        if key:
            raise ValueError("odd")

    monkeypatch.setattr(Reconciler, "_reconcile", reconcile)
    found = execute(Schedule(0, RUNS[:1], ()))
    assert "no unexpected error" in {violation.rule for violation in found.violations}
