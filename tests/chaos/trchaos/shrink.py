"""Shrink a schedule that violates a rule: leave out runs, faults, ends and fields while the same rule is violated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from trchaos.execution import execute
from trchaos.schedule import Fault, RunPlan, Schedule

T = TypeVar("T")
SHRINK_SECONDS: Final = 90.0  # of real time
Fails = Callable[[Schedule], bool]


def shrink(schedule: Schedule, rule: str, *, seconds: float = SHRINK_SECONDS) -> Schedule:
    """The smallest schedule that was found within the time; the same one if its execution does not violate the rule."""
    until = time.monotonic() + seconds

    def fails(tried: Schedule) -> bool:
        if time.monotonic() > until:
            return False
        return any(violation.rule == rule for violation in execute(tried).violations)

    while True:
        smaller = _values(_runs(_faults(_without_runs(schedule, fails), fails), fails), fails)
        if smaller == schedule:
            return smaller
        schedule = smaller


def _without_runs(schedule: Schedule, fails: Fails) -> Schedule:
    runs = _fewest(schedule.runs, lambda kept: bool(kept) and fails(replace(schedule, runs=tuple(kept))))
    return replace(schedule, runs=tuple(runs))


def _faults(schedule: Schedule, fails: Fails) -> Schedule:
    kept = _fewest(schedule.faults, lambda found: fails(replace(schedule, faults=tuple(found))))
    return replace(schedule, faults=tuple(kept))


def _fewest(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Leave out halves, then quarters, down to single ones (delta debugging)."""
    kept, size = list(items), max(1, len(items) // 2)
    while kept and size:
        start = 0
        while start < len(kept):
            tried = kept[:start] + kept[start + size :]
            if fails(tried):
                kept = tried
            else:
                start += size
        size //= 2
    return kept


def _runs(schedule: Schedule, fails: Fails) -> Schedule:
    """Make each run simpler: fewer fields, fewer ends."""
    for number in range(len(schedule.runs)):
        for simpler in _simpler_runs(schedule.runs[number]):
            tried = replace(schedule, runs=_with(schedule.runs, number, simpler))
            if tried != schedule and fails(tried):
                schedule = tried
    return schedule


def _simpler_runs(plan: RunPlan) -> Iterator[RunPlan]:
    """Each is simpler than the plan by one thing; as those before it may have been taken, all start from the plan."""
    yield replace(plan, spec={}, wish=replace(plan.wish, ends={}))
    yield replace(plan, wish=replace(plan.wish, ends={}))
    yield replace(plan, spec={})
    for field in plan.spec:
        yield replace(plan, spec={name: value for name, value in plan.spec.items() if name != field})
    for stage in plan.wish.ends:
        fewer = {name: ends for name, ends in plan.wish.ends.items() if name != stage}
        yield replace(plan, wish=replace(plan.wish, ends=fewer))


def _values(schedule: Schedule, fails: Fails) -> Schedule:
    """Round moments and values of faults."""
    if not schedule.progress:
        tried = schedule
    else:
        tried = replace(schedule, progress=False)
        schedule = tried if fails(tried) else schedule
    for number, fault in enumerate(schedule.faults):
        for simpler in _simpler_faults(fault):
            tried = replace(schedule, faults=_with(schedule.faults, number, simpler))
            if tried != schedule and fails(tried):
                schedule = tried
    return schedule


def _simpler_faults(fault: Fault) -> Iterator[Fault]:
    yield replace(fault, at=float(round(fault.at)))
    for name, value in fault.values.items():
        if isinstance(value, float) and value != round(value):
            yield replace(fault, values={**fault.values, name: float(round(value))})


def _with(items: tuple[T, ...], number: int, item: T) -> tuple[T, ...]:
    return (*items[:number], item, *items[number + 1 :])


def as_text(schedule: Schedule) -> str:
    """The schedule for people: one line for each run and each fault."""
    lines: list[tuple[float, str]] = []
    for plan in schedule.runs:
        ends = {stage: [f"{end.outcome} at {end.at}" for end in found] for stage, found in plan.wish.ends.items()}
        told = _told({**plan.spec, **({"ends": ends} if ends else {})})
        lines.append((plan.at, f"run {plan.namespace}/{plan.name}, {plan.wish.steps} steps{told}"))
    for fault in schedule.faults:
        after = f"after {fault.after}: " if fault.after is not None else ""
        lines.append((fault.at, f"{after}{fault.kind}{_told(fault.values)}"))
    head = f"seed {schedule.seed}, agents are {'' if schedule.progress else 'not '}reached:"
    return "\n".join([head, *(f"  {at:10.3f} s  {text}" for at, text in sorted(lines))])


def _told(values: Any) -> str:
    return ": " + ", ".join(f"{name} {value}" for name, value in values.items()) if values else ""
