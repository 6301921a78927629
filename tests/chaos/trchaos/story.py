"""What a story is made of: a few faults that meet in one moment of a run, because each alone rarely does harm.

What happens at random rarely meets: an answer that is late, and the deletion of what it is about while it is on its
way. A story says which kinds are about the same thing and between which moments; what else they are is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trchaos import faults, moments
from trchaos.kind import seconds

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan

Value = Callable[[random.Random], Any]
DELAY_SECONDS: Final = (0.01, 10.0)


def one_of(*values: Any) -> Value:
    """One of these."""
    return lambda chance: chance.choice(values)


def lasting(least: float, most: float) -> Value:
    """So many seconds."""
    return lambda chance: seconds(chance, least, most)


@dataclass(frozen=True)
class Act:
    """One of these kinds of faults, soon after one of these moments; `values` are drawn instead of the kind's own."""

    kinds: Sequence[str]
    after: Sequence[str]
    values: Mapping[str, Value] = field(default_factory=dict)
    within: tuple[float, float] = DELAY_SECONDS
    likely: float = 1.0


@dataclass(frozen=True)
class Story:
    """Acts around one attempt of a run, and what its spec needs for that."""

    acts: Sequence[Act]
    spec: Mapping[str, Value] = field(default_factory=dict)


BEFORE_A_JOB: Final = (moments.RUN_CREATED, moments.POD_ENDED)  # of the attempt before
CHANGED: Final = ("run suspended", "retry raised", "finish asked", "ttl changed", "several changes")
ENDED: Final = ("containers ended", "pod disrupted", "child deleted", "pod force deleted")
ALWAYS: Final = {"share": one_of(1.0)}


def calls(methods: list[str], of: str, **values: Value) -> dict[str, Value]:
    """Values of a fault that hits each call of these methods about one kind of objects."""
    return {**ALWAYS, "methods": one_of(methods), "of": one_of(of), **values}


def late(methods: list[str], of: str, at: Sequence[str], *, when: Sequence[str], kinds: Sequence[str]) -> Story:
    """An answer comes when what it is about is gone, or is different."""
    seconds_late = lasting(1.0, 7.0)  # the operator gives up after eight
    values = calls(methods, of, takesEffect=one_of(True), late=seconds_late, seconds=lasting(0.5, 30.0))
    gone = {"of": one_of("jobs", "jobs", "jobs", "pods", "configmaps"), "again": one_of(None, None, 1.0, 30.0)}
    return Story((Act(("calls slow",), at, values, within=(0.001, 0.01)), Act(kinds, when, gone, within=(0.01, 3.0))))


def unstored(at: Sequence[str], *, kinds: Sequence[str], when: Sequence[str]) -> Story:
    """Nothing can be stored while something begins or ends."""
    values = calls(
        ["PATCH"],
        "trainingruns",
        status=one_of(0, 409, 409, 500, 503),
        takesEffect=one_of(False),
        retryAfter=one_of(0),
        seconds=lasting(0.3, 200.0),
    )
    refused = ("calls fail", "calls fail", "admission refuses")
    return Story(
        (
            Act(refused, at, values, within=(0.001, 0.1)),
            Act(kinds, when, {"of": one_of("jobs")}, within=(0.01, 5.0)),
            Act((*CHANGED, "operator killed", "child deleted"), when, {"of": one_of("jobs")}, likely=0.4),
        )
    )


def refused(kinds: Sequence[str], *why: str) -> Story:
    """No Job can be created while an attempt ends."""
    values = {**ALWAYS, "of": one_of("jobs"), "why": one_of(*why), "seconds": lasting(60.0, 1200.0)}
    return Story(
        (
            Act(kinds, (moments.BEGAN,), values, within=(0.01, 2.0)),
            Act((*ENDED[1:], "pod disrupted"), (moments.BEGAN,), {"of": one_of("jobs", "pods")}, within=(2.0, 30.0)),
            Act(("operator killed", *CHANGED), (moments.POD_ENDED, moments.JOB_ENDED), likely=0.3),
        )
    )


def tell(
    story: Story, chance: random.Random, plan: RunPlan
) -> Iterator[tuple[float, str, dict[str, Any], moments.Moment]]:
    """Draw the faults of a story around one attempt of a run: delay, kind, values, moment."""
    number = chance.choice((1, 1, 2, 2, 3))
    for act in story.acts:
        if chance.random() >= act.likely:
            continue
        kind, what = chance.choice(act.kinds), chance.choice(act.after)
        drawn = {name: value(chance) for name, value in act.values.items()}
        own = faults.KINDS[kind].draw(chance, (plan,))
        mine = {"run": f"{plan.namespace}/{plan.name}"}
        values = {**own, **{name: value for name, value in (mine | drawn).items() if name in own}}
        yield seconds(chance, *act.within), kind, values, _moment(what, plan, number, before=act.after == BEFORE_A_JOB)


def _moment(what: str, plan: RunPlan, number: int, *, before: bool) -> moments.Moment:
    """The moment of an attempt; `before`: that which leads to it."""
    if before:
        what, number = (moments.RUN_CREATED, 1) if number == 1 else (moments.POD_ENDED, number - 1)
    elif what in (moments.RUN_CREATED, moments.DOCUMENT_CREATED):
        number = 1
    return moments.Moment(what, f"{plan.namespace}/{plan.name}", number)
