"""Which faults meet which attempt of which stage: decided by a seed alone.

A schedule counts requests, not seconds. Agents send requests from several threads, so two lives of one seed meet the
same faults at nearly, but not always exactly, the same moments.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from trfakes.s3_faults import Fault

Stage = Literal["prep", "train", "export"]
REQUESTS: Final[dict[Stage, int]] = {"prep": 66, "train": 68, "export": 30}
"""How many requests a pod of the stage sends without faults, about."""
FIRST_END: Final[dict[Stage, int]] = {"prep": 1, "train": 22, "export": 1}
"""The first request at which a pod is ended: before, a training has saved nothing that could be lost."""
LONGEST: Final = {Fault.BUSY: 80, Fault.SLOW: 8, Fault.LATE: 4}
"""Requests in a row that a fault meets at most; `OTHERS` where it is not named."""
OTHERS: Final = 3
CONDITIONAL: Final = 11
"""The requests with a condition are about the first of a pod: of its preflight, and its claim of an epoch."""
FAULTY_ATTEMPTS: Final = 3
"""Attempts of a stage that meet faults at most; the next one must succeed."""


class End(StrEnum):
    """How a pod is ended from outside."""

    AGENT_KILLED = "agent: SIGKILL"
    TRAINER_KILLED = "trainer: SIGKILL"
    POD_KILLED = "pod: SIGKILL"
    POD_TERMINATED = "pod: SIGTERM"
    NODE_LOST = "node lost: the pod goes on beside the next one"


@dataclass(frozen=True)
class Burst:
    """A fault that meets `requests` requests, from the one with the number `at` on that can have it."""

    at: int
    fault: Fault
    requests: int


@dataclass(frozen=True)
class PodEnd:
    """A pod is ended when it sends the request with the number `at`, which the server still gets, or not."""

    at: int
    end: End
    arrives: bool


@dataclass(frozen=True)
class Attempt:
    """What one pod meets."""

    bursts: tuple[Burst, ...] = ()
    end: PodEnd | None = None


@dataclass(frozen=True)
class Schedule:
    """What the pods of a run meet; `keeps` checkpoints stay in the bucket, None for all."""

    seed: int
    attempts: dict[Stage, tuple[Attempt, ...]]
    keeps: int | None

    def attempt(self, stage: Stage, number: int) -> Attempt:
        """What the pod of this attempt, counted from 0, meets."""
        attempts = self.attempts[stage]
        return attempts[number] if number < len(attempts) else Attempt()


def schedule_of(seed: int) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(seed)
    attempts: dict[Stage, tuple[Attempt, ...]] = {
        stage: tuple(_attempt(chance, stage) for _ in range(chance.randint(1, FAULTY_ATTEMPTS))) for stage in REQUESTS
    }
    return Schedule(seed, attempts, chance.choice([None, 1, 2]))


def _attempt(chance: random.Random, stage: Stage) -> Attempt:
    last = REQUESTS[stage]
    bursts = tuple(_burst(chance, last) for _ in range(chance.randint(0, 6)))
    if chance.random() < 0.3:
        return Attempt(bursts)
    end = chance.choice([end for end in End if stage != "prep" or end is not End.TRAINER_KILLED])
    return Attempt(bursts, PodEnd(chance.randint(FIRST_END[stage], last), end, chance.random() < 0.5))


def _burst(chance: random.Random, last: int) -> Burst:
    fault = chance.choice(list(Fault))
    last = CONDITIONAL if fault is Fault.LOST_CONDITIONAL else last
    return Burst(chance.randint(1, last), fault, chance.randint(1, LONGEST.get(fault, OTHERS)))
