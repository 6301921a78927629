"""Runs of one namespace share its quota and its nodes: which wait for room, and whose TensorBoard can make some.

A TensorBoard holds processor, memory and a pod, but no GPU: while a pod lacks something else, its removal helps nobody.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from trainingrun.api import conditions, reasons
from trainingrun.api.run import Run

# What the scheduler says that its nodes lack, and what the quota has no room for, unless the message was cut off there.
_ON_NODES: Final = re.compile(r"nodes are available: ([^…]*?)\. ")
_IN_QUOTA: Final = re.compile(r"requested: (\S+), used")
_HELD_BY_BOARDS: Final = re.compile(r"Insufficient (cpu|memory|ephemeral-storage)|Too many pods")


@dataclass(frozen=True, slots=True)
class Crowd:
    """Keys of the runs of a namespace that wait for room, and of those that have a TensorBoard but do not run."""

    waiting: AbstractSet[str] = frozenset()
    idle_boards: AbstractSet[str] = frozenset()


NOBODY: Final = Crowd()


def waits_for_room(run: Run) -> bool:
    """Whether a pod of the run lacks room that a TensorBoard may hold, as the stored status shows."""
    if _idle(run):
        return False
    held = run.status.get("conditions", [])
    return any(
        condition.get("status") == "False" and _lacks_room(condition["reason"], condition["message"])
        for condition in held
        if condition.get("type") in conditions.STAGE_CONDITION.values()
    )


def has_idle_board(run: Run) -> bool:
    """Whether the run has a TensorBoard, but has finished or is suspended."""
    return has_board(run) and _idle(run)


def has_board(run: Run) -> bool:
    """Whether the status of the run shows a TensorBoard."""
    return bool(run.status.get("tensorboard", {}).get("serviceName"))


def _idle(run: Run) -> bool:
    finished = conditions.is_true(run.status.get("conditions", []), conditions.FINISHED)
    return finished or bool(run.spec.get("suspend"))


def _lacks_room(reason: str, message: str) -> bool:
    if reason == reasons.QUOTA_EXCEEDED.name:
        asked = _IN_QUOTA.search(message)
        return asked is None or any("/gpu=" not in item for item in asked[1].split(","))
    if reason == reasons.POD_UNSCHEDULABLE.name:
        lacking = _ON_NODES.search(message)
        return lacking is None or bool(_HELD_BY_BOARDS.search(lacking[1]))
    return False
