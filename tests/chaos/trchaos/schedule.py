"""A schedule: which runs are created when, what their agents do, and which faults happen when. JSON, to be replayed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from trchaos import faults
from trchaos.agents import End
from trchaos.cluster import Wish

NAMESPACES: Final = ("default", "vision", "robots")
FAULT_SECONDS: Final = (120.0, 1800.0)  # within which all faults begin


@dataclass(frozen=True)
class RunPlan:
    """One run: when it is created, how its spec differs from the default, and what its agents do."""

    name: str
    namespace: str = "default"
    at: float = 0.0
    spec: Mapping[str, Any] = field(default_factory=dict)
    wish: Wish = field(default_factory=Wish)


@dataclass(frozen=True)
class Fault:
    """One fault: when, of which kind, and with which values."""

    at: float
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    """Everything that one execution depends on."""

    seed: int
    runs: tuple[RunPlan, ...]
    faults: tuple[Fault, ...]
    progress: bool = False  # whether operators reach the agents

    def to_json(self) -> dict[str, Any]:
        """The schedule as a document."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schedule:
        """The schedule of a document."""
        return cls(
            seed=document["seed"],
            runs=tuple(_run(entry) for entry in document["runs"]),
            faults=tuple(Fault(**entry) for entry in document["faults"]),
            progress=document["progress"],
        )


def make(seed: int) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(f"schedule {seed}")
    runs = tuple(_draw_run(chance, number) for number in range(chance.choice((1, 1, 2, 2, 3, 5, 12))))
    horizon = chance.uniform(*FAULT_SECONDS)
    kinds = sorted(faults.KINDS)
    chosen = []
    for _ in range(chance.choice((0, 2, 4, 8, 15))):
        kind = chance.choice(kinds)
        values = faults.KINDS[kind].draw(chance, runs)
        chosen.append(Fault(round(chance.uniform(1.0, horizon), 3), kind, values))
    return Schedule(seed, runs, tuple(sorted(chosen, key=lambda fault: fault.at)), progress=chance.random() < 0.3)


def _draw_run(chance: random.Random, number: int) -> RunPlan:
    ends: dict[str, tuple[End, ...]] = {}
    for stage in ("prep", "train", "export"):
        if chance.random() < 0.3:
            outcomes = chance.choices(("killed", "crash", "interrupted", "succeeded"), k=chance.randint(1, 2))
            ends[stage] = tuple(End(outcome, round(chance.uniform(0.1, 0.9), 2)) for outcome in outcomes)
    return RunPlan(
        name=f"run-{number}",
        namespace=chance.choice(NAMESPACES),
        at=round(chance.uniform(0.0, 60.0), 3),
        wish=Wish(ends, steps=chance.choice((300, 1000)), rate=5.0),
    )


def _run(entry: Mapping[str, Any]) -> RunPlan:
    wish = entry["wish"]
    ends = {stage: tuple(End(**end) for end in found) for stage, found in wish["ends"].items()}
    return RunPlan(**{**entry, "wish": Wish(ends, steps=wish["steps"], rate=wish["rate"])})
