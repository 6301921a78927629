"""Draw what happens in the world of a schedule, beside faults of requests: when, what, to whom, for how long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

# What happens, and how often compared with the others.
WEIGHTS: Final = {
    "delete Job": 3.0,
    "delete pod": 3.0,
    "pod stuck": 2.0,
    "remove pod": 1.0,  # by force, while its containers run
    "delete ConfigMap": 1.5,
    "delete run": 1.0,
    "delete run, create again": 1.0,
    "suspend Job": 2.0,
    "suspend": 2.5,
    "retry": 2.0,
    "finish": 2.0,
    "ttl": 1.0,
    "quota on Jobs": 1.0,
    "quota on pods": 1.0,
    "policy on Jobs": 1.0,
    "policy on pods": 1.0,
    "node cut off": 1.5,
}
OF_OPERATORS: Final = {"operator killed": 3.0, "operator stopped": 1.0, "operator paused": 1.0, "operator cut off": 1.0}


@dataclass(frozen=True)
class Happening:
    """One event: `seconds` is how long it lasts, `pick` (0 to 1) chooses among what is there then."""

    at: float
    kind: str
    seconds: float
    pick: float


def draw_happenings(rng: random.Random, *, seconds: float, runs: int) -> list[Happening]:
    """Draw the events of a schedule, in their order."""
    kinds = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=runs + rng.randint(0, runs))
    kinds += rng.choices(list(OF_OPERATORS), list(OF_OPERATORS.values()), k=rng.randint(2, 4))
    drawn = [Happening(rng.uniform(2.0, seconds - 1.0), kind, rng.uniform(0.3, 6.0), rng.random()) for kind in kinds]
    return sorted(drawn, key=lambda happening: happening.at)


def draw_unseen(rng: random.Random, *, seconds: float) -> list[Happening]:
    """Draw deletions of Jobs whose pods no watch has shown yet, because the watch of pods is behind that of Jobs."""
    return [
        Happening(rng.uniform(2.0, seconds - 6.0), "delete Job of an unseen pod", rng.uniform(3.0, 6.0), rng.random())
        for _ in range(rng.randint(1, 3))
    ]


@dataclass(frozen=True)
class Birth:
    """A run that is created: seconds since the start, its namespace by number, and fields of its spec."""

    at: float
    name: str
    namespace: int
    suspended: bool
    tensorboard: bool
    ttl: int | None


def draw_births(rng: random.Random, *, seconds: float, runs: int, namespaces: int) -> list[Birth]:
    """Draw the runs of a schedule, in the order of their creation."""
    moments = sorted(rng.uniform(0.0, seconds) for _ in range(runs))
    return [
        Birth(
            at,
            f"r{number:02}",
            rng.randrange(namespaces),
            suspended=rng.random() < 0.1,
            tensorboard=rng.random() < 0.25,
            ttl=rng.randint(0, 6) if rng.random() < 0.1 else None,
        )
        for number, at in enumerate(moments)
    ]
