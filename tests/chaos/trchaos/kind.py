"""One kind of fault: the values it draws, what it does to a world, and for how long its cause lasts."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trfakes.store import Object

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan
    from trchaos.world import World

T = TypeVar("T")
Values = Mapping[str, Any]
Draw = Callable[[random.Random, Sequence["RunPlan"]], Values]
Happen = Callable[["World", Values], None]
STAGES: Final = ("prep", "train", "export")


def _lasting(values: Values) -> float:
    return float(values.get("seconds", 0.0))


@dataclass(frozen=True)
class Kind:
    """A kind of fault; `lasts` is after how many seconds its cause is gone, with these values."""

    draw: Draw
    happen: Happen
    lasts: Callable[[Values], float] = _lasting


def seconds(chance: random.Random, least: float, most: float) -> float:
    """Draw a duration; short ones are as likely as long ones."""
    return float(round(least * (most / least) ** chance.random(), 2))


def share(chance: random.Random) -> float:
    """Draw a number from 0 to 1, by which one of several objects is picked when the fault happens."""
    return round(chance.random(), 3)


def a_run_of(chance: random.Random, runs: Sequence[RunPlan]) -> str:
    """Draw a run: its namespace and name."""
    plan = chance.choice(runs)
    return f"{plan.namespace}/{plan.name}"


def picked(found: Sequence[T], at: float) -> T | None:
    """One of the objects that exist now; None if there is none."""
    return found[min(int(at * len(found)), len(found) - 1)] if found else None


def named(world: World, plural: str, key: str) -> Object | None:
    """An object by its namespace and name."""
    namespace, _, name = key.partition("/")
    return world.store.find(plural, name, namespace=namespace)


def of_run(world: World, plural: str, key: str) -> list[Object]:
    """The children of a run of one kind, by their names."""
    run = named(world, "trainingruns", key)
    if run is None:
        return []
    uid, namespace = run["metadata"]["uid"], run["metadata"]["namespace"]
    label = "trainingrun.dev/run-uid"
    return [
        body
        for body in world.store.select(plural, namespace=namespace)
        if (body["metadata"].get("labels") or {}).get(label) == uid
        or any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ())
    ]
