"""Stories: their faults happen in the moments that they name, and what they draw fits their kinds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from trchaos import faults, moments
from trchaos.execution import execute
from trchaos.moments import Moment
from trchaos.schedule import Fault, RunPlan, Schedule
from trchaos.stories import STORIES
from trchaos.story import tell
from trchaos.trace import Trace

PLAN = RunPlan("run-0")
KEY = "default/run-0"


@pytest.mark.parametrize("number", range(len(STORIES)))
def test_what_a_story_says_fits_its_kinds(number: int) -> None:
    story, chance = STORIES[number], random.Random(number)
    for act in story.acts:
        assert set(act.kinds) <= set(faults.KINDS)
        assert set(act.after) <= set(moments.NAMES)
        known = {name for kind in act.kinds for name in faults.KINDS[kind].draw(chance, (PLAN,))}
        assert set(act.values) <= known
    for _ in range(20):
        for _, kind, values, moment in tell(story, chance, PLAN):
            assert set(values) == set(faults.KINDS[kind].draw(chance, (PLAN,)))
            assert moment.run == KEY


def lines_of(*chosen: Fault) -> tuple[list[str], Any]:
    trace = Trace()
    report = execute(Schedule(1, (PLAN,), chosen), trace=trace)
    assert report.violations == []
    return trace.lines, report


@pytest.mark.parametrize(
    ("what", "time", "line"),
    [
        (moments.RUN_CREATED, 1, f"trainingruns/{KEY}: ADDED"),
        (moments.DOCUMENT_CREATED, 1, "configmaps/default/run-0-resolved-00000001: ADDED"),
        (moments.JOB_CREATED, 2, "jobs/default/run-0-train-1: ADDED"),
        (moments.POD_ENDED, 2, "MODIFIED Succeeded  on node"),
        (moments.JOB_DELETED, 1, "jobs/default/run-0-prep-1: DELETED"),
        (moments.STATUS_STORED, 1, f"trainingruns/{KEY}: MODIFIED"),
    ],
)
def test_a_fault_happens_in_its_moment(what: str, time: int, line: str) -> None:
    fault = Fault(0.0, "ttl changed", {"run": KEY, "ttl": 3600}, Moment(what, KEY, time))
    lines, report = lines_of(fault)
    number = next(number for number, text in enumerate(lines) if "FAULT" in text)
    assert any(line in text for text in lines[max(0, number - 3) : number])
    assert report.faults == {"ttl changed": 1}


@pytest.mark.parametrize("what", [moments.JOB_SENT, moments.STATUS_SENT])
def test_a_fault_happens_before_what_was_sent_takes_effect(what: str) -> None:
    lines, _ = lines_of(Fault(0.0, "ttl changed", {"run": KEY, "ttl": 3600}, Moment(what, KEY)))
    number = next(number for number, text in enumerate(lines) if "FAULT" in text)
    effect = "jobs/default/run-0-prep-1: ADDED" if what == moments.JOB_SENT else f"trainingruns/{KEY}: MODIFIED"
    assert not any(effect in text for text in lines[:number])


def test_a_fault_whose_moment_never_comes_does_not_happen() -> None:
    lines, report = lines_of(
        Fault(1.0, "run deleted", {"run": KEY, "again": None}, Moment(moments.JOB_CREATED, KEY, 9))
    )
    assert not any("FAULT" in text for text in lines)
    assert not report.faults
