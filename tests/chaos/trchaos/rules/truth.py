"""The truth about each run: its spec over time, its Jobs and pods, their deletions, and how they really ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from trainingrun.api.names import LABEL_ATTEMPT, LABEL_RUN_UID, LABEL_STAGE
from trfakes.store import Change, Object

if TYPE_CHECKING:
    from trchaos.cluster import Played
    from trchaos.world import World

STAGES: Final = ("prep", "train", "export")
CONDITION: Final = {"prep": "Prepared", "train": "Trained", "export": "Exported"}
DECIDED: Final = {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}  # conditions of a Job that has its end
# What an attempt counts as that really ended so (docs/architecture.md, "Failures"); all others have the same name.
COUNTS_AS: Final = {
    "killed": "crash",
    "oomKilled": "outOfMemory",
    "scratchFull": "diskFull",
    "scratchFullTold": "diskFull",
    "nodeDiskFull": "diskFull",
}


@dataclass
class JobFacts:
    """One Job of a run."""

    uid: str
    name: str
    stage: str
    attempt: int
    made: float
    gone: float | None = None
    made_by: str = ""  # the operator
    held: float | None = None  # when something else has suspended it last
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def goes_on(self) -> bool:
        """Whether it is there, not deleted, and its end is not decided."""
        return self.gone is None and "deletionTimestamp" not in self.body["metadata"] and not _is_decided(self.body)


@dataclass
class PodFacts:
    """One pod of a run as the API has it; `ends_by` is when its grace period ends, on the server's clock."""

    uid: str
    name: str
    stage: str
    attempt: int
    made: float
    ends_by: datetime | None = None
    gone: float | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job_uid(self) -> str | None:
        """Of the Job that made it."""
        owners = self.body.get("metadata", {}).get("ownerReferences") or ()
        return next((owner["uid"] for owner in owners), None)

    @property
    def disturbed(self) -> bool:
        """Whether it was deleted, by whomever, or ended by its node: then its end can count as an interruption."""
        ended_by_node = (self.body.get("status") or {}).get("reason") is not None
        return self.ends_by is not None or self.gone is not None or ended_by_node


@dataclass
class RunFacts:
    """One TrainingRun, by UID."""

    uid: str
    key: str
    namespace: str
    name: str
    made: float
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 1
    changed: float = 0.0
    gone: float | None = None
    ended: float | None = None  # since when it is Finished
    suspended: float | None = None  # since when spec.suspend is true
    forged: bool = False  # something else than an operator has written its status
    asked: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)  # values of mutable fields over time
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    pods: dict[str, PodFacts] = field(default_factory=dict)

    def jobs_of(self, stage: str, attempt: int) -> list[JobFacts]:
        """All Jobs that were ever created for an attempt."""
        return [job for job in self.jobs.values() if (job.stage, job.attempt) == (stage, attempt)]

    def pods_of(self, stage: str, attempt: int) -> list[PodFacts]:
        """All pods that an attempt ever had."""
        return [pod for pod in self.pods.values() if (pod.stage, pod.attempt) == (stage, attempt)]

    def ever(self, name: str) -> set[Any]:
        """Every value that a mutable field of the spec has had."""
        return {value for _, value in self.asked.get(name, ())}


class Truth:
    """Follows the store; rules read it. It is told of every change before they are."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.runs: dict[str, RunFacts] = {}
        self.documents: dict[str, float] = {}  # when the ConfigMap of each run was written last, by UID of the run
        self.skewed = False  # whether a clock was ever wrong

    def take(self, change: Change) -> None:
        """Take over one change."""
        if change.plural == "trainingruns":
            self._take_run(change)
        elif change.plural in {"jobs", "pods"}:
            self._take_child(change)
        elif change.plural == "configmaps":
            for owner in change.body["metadata"].get("ownerReferences") or ():
                self.documents[owner["uid"]] = self._world.loop.time()

    def look(self) -> None:
        """Note whether a clock is wrong now."""
        self.skewed = self.skewed or bool(self._world.server_skew) or any(self._skews())

    def played(self, pod: PodFacts) -> Played | None:
        """What really runs, or ran, in a pod; None if it has no node yet."""
        return self._world.cluster.pods.get(pod.uid)

    def outcomes(self, run: RunFacts, stage: str, attempt: int) -> Iterator[str]:
        """How the pods of an attempt really ended, in the words of verdicts."""
        for pod in run.pods_of(stage, attempt):
            played = self.played(pod)
            if played is not None and played.ended is not None:
                yield COUNTS_AS.get(played.outcome, played.outcome)

    def latest(self) -> datetime:
        """The latest time that the clock of an operator shows, or the true one."""
        return self._world.true_now() + timedelta(seconds=max([0.0, *self._skews()]))

    def earliest(self) -> datetime:
        """The earliest time that the clock of an operator shows, or the true one."""
        return self._world.true_now() + timedelta(seconds=min([0.0, *self._skews()]))

    def _skews(self) -> list[float]:
        return [process.skew for process in self._world.processes if process.alive]

    def _take_run(self, change: Change) -> None:
        body, now = change.body, self._world.loop.time()
        meta, spec = body["metadata"], body["spec"]
        run = self.runs.setdefault(
            meta["uid"],
            RunFacts(meta["uid"], f"{meta['namespace']}/{meta['name']}", meta["namespace"], meta["name"], now),
        )
        run.spec, run.status, run.generation = spec, body.get("status") or {}, meta["generation"]
        run.changed = now
        if change.kind == "DELETED":
            run.gone = now
            return
        run.suspended = (run.suspended or now) if spec.get("suspend") else None
        finished = any(c["type"] == "Finished" and c["status"] == "True" for c in run.status.get("conditions") or ())
        run.ended = (run.ended or now) if finished else None
        for name in ("suspend", "finish", "retry"):
            values = run.asked.setdefault(name, [])
            if not values or values[-1][1] != spec.get(name):
                values.append((now, spec.get(name)))

    def _take_child(self, change: Change) -> None:
        meta, now = change.body["metadata"], self._world.loop.time()
        labels = meta.get("labels") or {}
        run = self.runs.get(labels.get(LABEL_RUN_UID, ""))
        if run is None or LABEL_STAGE not in labels:
            return
        of = (meta["uid"], meta["name"], labels[LABEL_STAGE], int(labels[LABEL_ATTEMPT]), now)
        owners = {ref["uid"] for ref in meta.get("ownerReferences") or () if ref.get("controller")}
        if not owners & ({run.uid} if change.plural == "jobs" else run.jobs.keys()):
            return  # anybody can make an object with such labels
        made = JobFacts(*of, made_by=self._world.server.acting)
        child = run.jobs.setdefault(meta["uid"], made) if change.plural == "jobs" else _pod(run, meta, of)
        if isinstance(child, JobFacts) and _is_held(change.body) and not _is_held(child.body):
            child.held = now
        child.body = change.body
        if change.kind == "DELETED":
            child.gone = now


def _pod(run: RunFacts, meta: Mapping[str, Any], of: tuple[str, str, str, int, float]) -> PodFacts:
    pod = run.pods.setdefault(meta["uid"], PodFacts(*of))
    if "deletionTimestamp" in meta:
        pod.ends_by = datetime.fromisoformat(meta["deletionTimestamp"])
    return pod


def _is_decided(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in DECIDED and c["status"] == "True" for c in conditions)


def _is_held(job: Mapping[str, Any]) -> bool:
    return bool((job.get("spec") or {}).get("suspend"))


def unfinished(pod: Object) -> bool:
    """Whether the API says that a pod's containers have not ended."""
    return (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}
