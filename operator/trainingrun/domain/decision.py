"""The result of a decision: what to create and delete, the status to write, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import JobView, PodView


@dataclass(frozen=True, slots=True)
class Child:
    """A child to delete; without `uid` it is read first, and left alone if the run does not own it."""

    kind: str
    name: str
    uid: str = ""


@dataclass(slots=True)
class Decision:
    """Applied in this order: create, create_optional, delete, status, Events, delete_after_status.

    Jobs are deleted only after the status: their end without it would count as a failure.
    """

    draft: Draft
    create: list[dict[str, Any]] = field(default_factory=list)
    create_optional: list[dict[str, Any]] = field(default_factory=list)  # the run continues without them
    delete: list[Child] = field(default_factory=list)  # the status shows that they exist until they are deleted
    delete_after_status: list[Child] = field(default_factory=list)  # the status must hold why, and their results
    delete_run: bool = False
    wake: list[str] = field(default_factory=list)  # keys of other runs that have to act now
    read_warnings: list[str] = field(default_factory=list)  # UIDs of objects whose warning Events are needed
    read_nodes_for: PodView | None = None  # a pod that no node can run: the amounts of nodes explain it
    pull_progress: PodView | None = None  # the pod whose agent is asked for progress
    starts_nothing: bool = False  # the run was accepted, and its document is missing: attempts in flight may end
    read_document: bool = False  # the run's ConfigMap has to be read before anything of this is done
    read_jobs: list[JobView] = field(default_factory=list)  # the specs of these as well
    read_pods: list[JobView] = field(default_factory=list)  # pods of these: the watch may not have shown them yet
    requeue_after: float | None = None

    @property
    def starts_pods(self) -> bool:
        """Whether an object is created whose pods mount the run's ConfigMap."""
        return any(body["kind"] in {"Job", "Deployment"} for body in (*self.create, *self.create_optional))

    def requeue(self, *, after: float) -> None:
        """Ask for another decision after so many seconds; the earliest request wins."""
        after = max(after, 0.5)
        self.requeue_after = after if self.requeue_after is None else min(self.requeue_after, after)
