"""What must hold, whatever happens. Checked at every change of the store and of a pod, and at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trchaos.cluster import Played
from trfakes.store import Change

if TYPE_CHECKING:
    from trchaos.world import World

LOST_SECONDS: Final = 120.0  # beyond its grace period, after which a pod on an unreachable node counts as ended


@dataclass(frozen=True)
class Violation:
    """A rule that was broken: when, by which run, and what was seen."""

    at: float
    rule: str
    run: str
    text: str


class Invariants:
    """Looks at one world from its start to its end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.violations: list[Violation] = []
        self._seen: dict[str, dict[str, Any]] = {}  # newest status of each run, by UID
        world.store.listeners.append(self._see)
        world.cluster.on_begin.append(self._begin)

    def broken(self, rule: str, run: str, text: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(self._world.loop.time(), rule, run, text))

    def _begin(self, played: Played) -> None:
        """Containers start: no other pod of this stage of this run may be alive."""
        for other in self._world.cluster.pods.values():
            same = (other.run_uid, other.stage) == (played.run_uid, played.stage) and other is not played
            if same and other.began is not None and other.ended is None and not self._is_given_up(other):
                self.broken("one live attempt", played.name, f"beside {other.name}")

    def _is_given_up(self, played: Played) -> bool:
        """Whether the rules count a pod as lost: it has outlived its grace period for long."""
        pod = self._world.store.find("pods", played.name, namespace=played.namespace)
        return pod is not None and "deletionTimestamp" in pod["metadata"]  # TODO by time

    def _see(self, change: Change) -> None:
        if change.plural == "trainingruns" and change.kind != "DELETED":
            self._compare(change.body)

    def _compare(self, run: dict[str, Any]) -> None:
        """Compare a run's status with the one before."""
        key, status = f"{run['metadata']['namespace']}/{run['metadata']['name']}", run.get("status") or {}
        before = self._seen.get(run["metadata"]["uid"], {})
        self._seen[run["metadata"]["uid"]] = status
        for entry in before.get("attempts", []):
            now: dict[str, Any] = next((a for a in status.get("attempts", []) if a["stage"] == entry["stage"]), {})
            if now.get("number", 0) < entry.get("number", 0):
                self.broken("attempts never go back", key, f"{entry['stage']}: {entry} became {now}")

    def finish(self) -> None:
        """Check what must hold once everything has settled."""
        for process in self._world.processes:
            if process.exited:
                self.broken("no operator exits by itself", process.name, "")
        for body in self._world.store.select("trainingruns"):
            key = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
            true = {c["type"] for c in (body.get("status") or {}).get("conditions") or () if c["status"] == "True"}
            if "Finished" not in true and not (body.get("spec") or {}).get("suspend"):
                self.broken("every run ends", key, str((body.get("status") or {}).get("message")))


Check = Callable[[Change], None]
