"""List the kinds of faults, what each does to the attempt that it hits, and how many steps it may cost, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """Stage of the run whose pod is hit."""

    PREP = "prep"
    TRAIN = "train"
    EXPORT = "export"


class Kind(StrEnum):
    """What is done."""

    TRAINER_KILLED = "trainer killed"
    EXPORTER_KILLED = "exporter killed"
    AGENT_KILLED = "agent killed"
    POD_DELETED = "pod deleted"
    POD_EVICTED = "pod evicted"
    JOB_DELETED = "Job deleted"
    OPERATOR_KILLED = "operator killed"
    KUBELET_KILLED = "kubelet killed"
    KUBELET_PAUSED = "kubelet paused"
    CONTAINERD_KILLED = "containerd killed"
    S3_KILLED = "S3 server killed"
    POD_CUT_OFF = "pod cut off from S3"
    PARTITION = "partitioned and replaced"
    NODE_LOST = "node lost"


class Loss(StrEnum):
    """Which checkpoint the next attempt must have, at the least: the bound of the lost steps."""

    NONE = "0: a checkpoint of the step at the fault or later"
    INTERVAL = "one interval: the newest checkpoint at the fault"
    UPLOAD = "one interval + one upload: the newest checkpoint that had the time for its upload"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does to the attempt that it hits.

    `outcome` is how the attempt ends, empty if it has to go on. `outage` bounds the seconds for which something is
    down. `weight` is how often the fault is drawn, 0 for once.
    """

    weight: int
    outcome: str = ""
    loss: Loss = Loss.NONE
    outage: tuple[float, float] = (0.0, 0.0)


CRASH, INTERRUPTED = "crash", "interrupted"
Card = tuple[Kind, Stage]
EFFECTS: Final[Mapping[Card, Effect]] = {
    (Kind.TRAINER_KILLED, Stage.TRAIN): Effect(7, CRASH, Loss.INTERVAL),
    (Kind.AGENT_KILLED, Stage.TRAIN): Effect(6, CRASH, Loss.UPLOAD),
    (Kind.POD_DELETED, Stage.TRAIN): Effect(4, INTERRUPTED, Loss.NONE),
    (Kind.POD_EVICTED, Stage.TRAIN): Effect(4, INTERRUPTED, Loss.NONE),
    (Kind.JOB_DELETED, Stage.TRAIN): Effect(4, INTERRUPTED, Loss.NONE),
    (Kind.OPERATOR_KILLED, Stage.TRAIN): Effect(5),
    (Kind.KUBELET_KILLED, Stage.TRAIN): Effect(4, outage=(0.0, 15.0)),
    (Kind.KUBELET_PAUSED, Stage.TRAIN): Effect(3, outage=(5.0, 20.0)),
    (Kind.CONTAINERD_KILLED, Stage.TRAIN): Effect(4, outage=(0.0, 15.0)),
    (Kind.S3_KILLED, Stage.TRAIN): Effect(4, outage=(0.0, 20.0)),
    (Kind.POD_CUT_OFF, Stage.TRAIN): Effect(4, outage=(5.0, 25.0)),
    (Kind.PARTITION, Stage.TRAIN): Effect(1, INTERRUPTED, Loss.UPLOAD),
    (Kind.NODE_LOST, Stage.TRAIN): Effect(0, INTERRUPTED, Loss.UPLOAD),
    (Kind.AGENT_KILLED, Stage.PREP): Effect(1, CRASH),
    (Kind.POD_DELETED, Stage.PREP): Effect(1, INTERRUPTED),
    (Kind.AGENT_KILLED, Stage.EXPORT): Effect(1, CRASH),
    (Kind.EXPORTER_KILLED, Stage.EXPORT): Effect(1, CRASH),
    (Kind.POD_DELETED, Stage.EXPORT): Effect(1, INTERRUPTED),
}
QUICK: Final[tuple[Card, ...]] = tuple(
    (kind, Stage.TRAIN)
    for kind in (
        Kind.TRAINER_KILLED,
        Kind.POD_DELETED,
        Kind.JOB_DELETED,
        Kind.OPERATOR_KILLED,
        Kind.CONTAINERD_KILLED,
        Kind.S3_KILLED,
    )
)
"""Faults that are over within seconds, for every run of the tests."""


def chosen(names: str) -> tuple[Card, ...]:
    """The faults named, as `agent killed` or `agent killed in prep`, separated by commas; all if nothing is named."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    found = tuple(card for card in EFFECTS if not wanted or wanted & {str(card[0]), f"{card[0]} in {card[1]}"})
    unknown = wanted - {name for kind, stage in EFFECTS for name in (str(kind), f"{kind} in {stage}")}
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(Kind)}")
    return found
