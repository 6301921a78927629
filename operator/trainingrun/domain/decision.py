"""The result of a decision: what to create and delete, in the order it is applied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import PodView


@dataclass(frozen=True, slots=True)
class Child:
    """A child to delete; without `uid` it is looked at first, and left if the run does not own it."""

    kind: str
    name: str
    uid: str = ""


@dataclass(slots=True)
class Plan:
    """Applied as: create, beside, delete, one status patch, cleanup, Events; then `requeue_after`."""

    draft: Draft
    create: list[dict[str, Any]] = field(default_factory=list)
    beside: list[dict[str, Any]] = field(default_factory=list)  # created too, but the run goes on without them
    delete: list[Child] = field(default_factory=list)
    cleanup: list[Child] = field(default_factory=list)  # only after the status holds what they produced
    delete_run: bool = False
    look_up: list[str] = field(default_factory=list)  # UIDs whose Events are worth one list
    watch: PodView | None = None  # pod whose progress is pulled
    requeue_after: float | None = None

    def again(self, seconds: float) -> None:
        """Ask for another look after so many seconds, keeping the earliest wish."""
        seconds = max(seconds, 0.5)
        self.requeue_after = seconds if self.requeue_after is None else min(self.requeue_after, seconds)
