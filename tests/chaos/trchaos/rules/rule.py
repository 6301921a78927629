"""What every rule has: the world it looks at, the truth about its runs, and a way to note that it was broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trchaos.server import Request
from trfakes.store import Object

if TYPE_CHECKING:
    from trchaos.cluster import Played
    from trchaos.rules.truth import JobFacts, RunFacts, Truth
    from trchaos.world import World

Status = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    """A rule that was broken: when, by which run, and what was seen."""

    at: float
    rule: str
    run: str
    text: str


@dataclass
class Scene:
    """One world with the truth about it, and the violations so far."""

    world: World
    truth: Truth
    violations: list[Violation] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds of the loop."""
        return self.world.loop.time()

    def broken(self, rule: str, run: str, text: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(round(self.now, 3), rule, run, text[:400]))


class Rule:
    """One group of rules; each method is called at the moment that it names, and does nothing unless it is replaced."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def stored(self, run: RunFacts, before: Status, now: Status) -> None:
        """A status was stored that differs from the one before."""

    def job_made(self, run: RunFacts, job: JobFacts) -> None:
        """A Job of a run was created."""

    def job_deleted(self, run: RunFacts, job: JobFacts) -> None:
        """An operator has deleted a Job."""

    def run_deleted(self, run: RunFacts) -> None:
        """An operator has deleted a run."""

    def told(self, run: RunFacts, event: Object) -> None:
        """An operator has posted an Event about a run."""

    def began(self, run: RunFacts, played: Played) -> None:
        """The containers of a pod started."""

    def called(self, request: Request) -> None:
        """The server has received a call."""

    def look(self) -> None:
        """Some seconds have passed."""

    def finish(self) -> None:
        """Everything has settled."""


def entries(status: Status) -> dict[str, dict[str, Any]]:
    """The attempts of a status, by stage."""
    return {entry["stage"]: entry for entry in status.get("attempts") or ()}


def condition(status: Status, kind: str) -> Mapping[str, Any]:
    """A condition of a status; empty if it has none."""
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def is_true(status: Status, kind: str) -> bool:
    """Whether a condition is True."""
    return condition(status, kind).get("status") == "True"


def loses_data_set(before: Status, now: Status) -> bool:
    """Whether an end is new that was for want of the prepared data set; preparation is open again then.

    Both may be in one status, also with the success of preparation: it was True in between.
    """
    old = entries(before)
    return any(
        entry.get("lastReason") == "DatasetLost" and entry.get("ended", 0) > old.get(stage, {}).get("ended", 0)
        for stage, entry in entries(now).items()
        if stage != "prep"
    )


def key_of(body: Object) -> str:
    """Namespace and name."""
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
