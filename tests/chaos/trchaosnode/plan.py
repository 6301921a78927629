"""Make a plan from a seed: which runs there are, and which faults hit each of them, when and for how long.

Invariant: the plan depends on its arguments only, so the seed repeats it. What happens beside it, such as how fast a
pod starts, is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from trchaosnode.kinds import CRASH, EFFECTS, Card, Effect, Kind, Stage

FAULTS: Final = 56
LANES: Final = 2
PER_RUN: Final = 7
"""At most so many faults in a run: their crashes share one budget, and the pauses between attempts grow."""
ORDER: Final = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `part` of a save interval after a checkpoint, in prep and export `part` of a second after the start.

    `outage` is for how many seconds something is down.
    """

    kind: Kind
    stage: Stage
    part: float
    outage: float

    @property
    def effect(self) -> Effect:
        """What the fault does to the attempt that it hits."""
        return EFFECTS[self.kind, self.stage]

    def __str__(self) -> str:
        outage = f" for {self.outage:.0f} s" if self.effect.outage[1] else ""
        return f"{self.kind} in {self.stage}{outage}"


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run and the faults that hit it, in order."""

    name: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs by lane: the lanes go on at the same time, the runs of a lane one after the other."""

    seed: int
    lanes: tuple[tuple[PlannedRun, ...], ...]

    @property
    def faults(self) -> list[Fault]:
        """All faults."""
        return [fault for lane in self.lanes for run in lane for fault in run.faults]


def make(seed: int, *, faults: int = FAULTS, lanes: int = LANES, cards: Sequence[Card] = tuple(EFFECTS)) -> Plan:
    """Make the plan of a seed: each card once if there is room, then cards by weight."""
    random = Random(seed)
    drawn = [_fault(random, card) for card in _draw(random, faults, cards)]
    names = [f"chaos-{number}" for number in range(1, max(lanes, math.ceil(faults / PER_RUN)) + 1)]
    # Crashes first, so that each run gets its share of them.
    drawn.sort(key=lambda fault: fault.effect.outcome != CRASH)
    runs = [_run(random, name, drawn[index :: len(names)]) for index, name in enumerate(names)]
    return Plan(seed, tuple(tuple(runs[lane::lanes]) for lane in range(lanes)))


def _draw(random: Random, faults: int, cards: Sequence[Card]) -> list[Card]:
    once = random.sample(cards, min(faults, len(cards)))
    again = [card for card in cards if EFFECTS[card].weight]
    drawn = once + random.choices(again, [EFFECTS[card].weight for card in again], k=faults - len(once))
    random.shuffle(drawn)
    return drawn


def _fault(random: Random, card: Card) -> Fault:
    kind, stage = card
    return Fault(kind, stage, part=random.random(), outage=random.uniform(*EFFECTS[card].outage))


def _run(random: Random, name: str, faults: Sequence[Fault]) -> PlannedRun:
    """Shuffle the faults of a run within each stage."""
    shuffled = random.sample(faults, len(faults))
    return PlannedRun(name, tuple(sorted(shuffled, key=lambda fault: ORDER.index(fault.stage))))
