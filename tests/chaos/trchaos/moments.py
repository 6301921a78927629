"""Moments in the life of a run, for faults that are about just such a moment: the second Job is created, a pod ends."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trfakes.answers import PATH
from trfakes.store import Change, Object

if TYPE_CHECKING:
    from trchaos.cluster import Played
    from trchaos.world import World

RUN_CREATED: Final = "run created"
DOCUMENT_CREATED: Final = "ConfigMap created"
JOB_SENT: Final = "Job sent"  # its creation is on its way to the server
JOB_CREATED: Final = "Job created"
POD_CREATED: Final = "pod created"
BEGAN: Final = "containers began"
POD_ENDED: Final = "pod ended"
JOB_ENDED: Final = "Job ended"
JOB_DELETED: Final = "Job deleted"
STATUS_SENT: Final = "status sent"  # a change of the run's status is on its way to the server
STATUS_STORED: Final = "status stored"
NAMES: Final = (
    RUN_CREATED,
    DOCUMENT_CREATED,
    JOB_SENT,
    JOB_CREATED,
    POD_CREATED,
    BEGAN,
    POD_ENDED,
    JOB_ENDED,
    JOB_DELETED,
    STATUS_SENT,
    STATUS_STORED,
)
_CREATED: Final = {
    "trainingruns": RUN_CREATED,
    "configmaps": DOCUMENT_CREATED,
    "jobs": JOB_CREATED,
    "pods": POD_CREATED,
}


@dataclass(frozen=True)
class Moment:
    """Something happens to a run for the so-and-so-many-th time; also when it was created again under its name."""

    what: str
    run: str  # its namespace and name
    time: int = 1

    def __str__(self) -> str:
        return f"{self.what} {self.time}, {self.run}"


class Moments:
    """Sees what happens to runs, and calls those that wait for it."""

    def __init__(self, world: World) -> None:
        self._store = world.store
        self._seen: Counter[tuple[str, str]] = Counter()
        self._ended: set[str] = set()  # UIDs of pods and Jobs
        self._waiting: defaultdict[Moment, list[Callable[[], object]]] = defaultdict(list)
        world.store.listeners.append(self._changed)
        world.server.arrivals.append(self._arrived)
        world.cluster.on_begin.append(self._began)

    def wait(self, moment: Moment, call: Callable[[], object]) -> None:
        """Call something in that moment, unless it has passed."""
        self._waiting[moment].append(call)

    def _see(self, what: str, run: str) -> None:
        self._seen[what, run] += 1
        for call in self._waiting.pop(Moment(what, run, self._seen[what, run]), ()):
            call()

    def _changed(self, change: Change) -> None:
        run = _run_of(change.plural, change.body)
        if not run:
            return
        if change.kind == "ADDED" and change.plural in _CREATED:
            self._see(_CREATED[change.plural], run)
        elif change.kind == "DELETED" and change.plural == "jobs":
            self._see(JOB_DELETED, run)
        elif change.kind == "MODIFIED" and change.plural == "trainingruns":
            self._see(STATUS_STORED, run)
        elif (
            change.kind == "MODIFIED" and _has_ended(change.body) and change.body["metadata"]["uid"] not in self._ended
        ):
            self._ended.add(change.body["metadata"]["uid"])
            self._see(JOB_ENDED if change.plural == "jobs" else POD_ENDED, run)

    def _arrived(self, method: str, path: str, sent: Mapping[str, Any]) -> None:
        found = PATH.match(path)
        if found is None:
            return
        if method == "PATCH" and found["plural"] == "trainingruns":
            self._see(STATUS_SENT, f"{found['namespace']}/{found['name']}")
        elif method == "POST" and found["plural"] == "jobs":
            owners = (sent.get("metadata") or {}).get("ownerReferences") or ()
            for owner in owners:
                self._see(JOB_SENT, f"{found['namespace']}/{owner['name']}")

    def _began(self, played: Played) -> None:
        pod = self._store.find("pods", played.name, namespace=played.namespace)
        if pod is not None:
            self._see(BEGAN, _run_of("pods", pod))


def _run_of(plural: str, body: Object) -> str:
    """Namespace and name of the run that an object is, or belongs to; empty for all others."""
    meta = body["metadata"]
    if plural == "trainingruns":
        return f"{meta['namespace']}/{meta['name']}"
    labels, owners = meta.get("labels") or {}, meta.get("ownerReferences") or ()
    names = [labels.get("trainingrun.dev/run"), *(o["name"] for o in owners if o.get("kind") == "TrainingRun")]
    return next((f"{meta['namespace']}/{name}" for name in names if name), "")


def _has_ended(body: Object) -> bool:
    status = body.get("status") or {}
    conditions = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
    return status.get("phase") in {"Succeeded", "Failed"} or bool(conditions & {"Complete", "Failed"})
