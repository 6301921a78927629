"""Nodes, the pods that are played on them, and what the agents of a run do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trainingrun.api.names import LABEL_ATTEMPT, LABEL_RUN_UID, LABEL_STAGE
from trchaos.agents import AgentLife, End
from trfakes.store import Object


@dataclass
class Node:
    """A node: while it is cut off, its pods go on and nothing about them reaches the API."""

    name: str
    room: int
    cut_off: bool = False
    ready: bool = True  # as the control plane sees it, later than it is
    cut_off_at: float = 0.0
    late: list[Callable[[], None]] = field(default_factory=list)  # what its kubelet does when it is back


@dataclass(frozen=True)
class Wish:
    """What the agents of one run do: the end of each pod of a stage in its order, and how long they work."""

    ends: Mapping[str, tuple[End, ...]] = field(default_factory=dict)
    steps: int = 1000
    rate: float = 5.0

    def end_of(self, stage: str, count: int) -> End:
        ends = self.ends.get(stage, ())
        return ends[count] if count < len(ends) else End()


@dataclass
class Played:
    """One pod and what runs in it: the truth that invariants look at."""

    run_uid: str
    stage: str
    attempt: int
    job_uid: str
    pod_uid: str
    name: str
    namespace: str
    node: str
    life: AgentLife | None = None
    began: float | None = None
    ended: float | None = None
    outcome: str = ""  # what really happened
    grace_ends: float | None = None
    started_at: str = ""  # when its containers started, as its kubelet reports it

    @classmethod
    def of(cls, pod: Object, *, node: str) -> Played:
        """A pod that was scheduled."""
        meta = pod["metadata"]
        labels = meta["labels"]
        return cls(
            run_uid=labels[LABEL_RUN_UID],
            stage=labels[LABEL_STAGE],
            attempt=int(labels[LABEL_ATTEMPT]),
            job_uid=meta["ownerReferences"][0]["uid"],
            pod_uid=meta["uid"],
            name=meta["name"],
            namespace=meta["namespace"],
            node=node,
        )
