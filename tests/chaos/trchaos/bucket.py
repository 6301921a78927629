"""The bucket of one run, as its agents use it: epochs, whole checkpoints, results of stages.

What an agent has uploaded is worked out when someone looks, so that hours of training cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trchaos.agents import AgentLife


@dataclass
class Result:
    """A stage's result, published by the pod of one epoch."""

    epoch: int
    pod_uid: str
    at: float
    step: int = 0


@dataclass
class Bucket:
    """Everything below the run's prefix."""

    lives: list[AgentLife] = field(default_factory=list)  # in the order of their epochs
    results: dict[str, Result] = field(default_factory=dict)
    published: list[tuple[str, int]] = field(default_factory=list)  # stage and epoch, each time a result was written
    losses: int = 0  # of the prepared data set, that are still to come
    resumed: list[tuple[int, int]] = field(default_factory=list)  # step resumed from, and the newest whole one then

    def claim(self, life: AgentLife, *, now: float) -> int:
        """Claim the next epoch; pods of earlier ones publish nothing from now on."""
        for other in self.lives:
            other.supersede(now)
        self.lives.append(life)
        return len(self.lives)

    def newest_step(self, now: float) -> int:
        """Step of the newest whole checkpoint; 0 without one."""
        return max((life.saved_step(now) for life in self.lives if life.stage == "train"), default=0)

    def newest_images(self, now: float) -> int:
        """Images that interrupted preparations have stored."""
        return max((life.saved_images(now) for life in self.lives if life.stage == "prep"), default=0)

    def publish(self, life: AgentLife, *, now: float, step: int = 0) -> bool:
        """Publish a stage's result unless a later epoch was claimed; returns whether it was."""
        if life.superseded_at is not None:
            return False
        self.results[life.stage] = Result(life.epoch, life.pod_uid, now, step)
        self.published.append((life.stage, life.epoch))
        return True

    def lose_dataset(self, times: int = 1) -> None:
        """Something deletes the prepared data set now, and so many times less one when it is about to be used."""
        self.results.pop("prep", None)
        self.losses = times - 1

    def lose_again(self) -> None:
        """An attempt is about to fetch the data set: it may be deleted once more."""
        if self.losses and self.results.pop("prep", None) is not None:
            self.losses -= 1
