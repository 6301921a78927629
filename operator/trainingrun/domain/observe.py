"""What decisions are made from: views of Jobs and Pods, small so that the cache stays small, and the facts of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from trainingrun.api.names import (
    AGENT,
    ANNOTATION_POD_SETTINGS,
    LABEL_ATTEMPT,
    LABEL_RUN,
    LABEL_RUN_UID,
    LABEL_STAGE,
    WORKER,
    Stage,
    job_name,
)
from trainingrun.domain.crowd import NOBODY, Crowd
from trainingrun.domain.document import Document
from trainingrun.domain.nodes import UNKNOWN, Nodes, requests_of
from trainingrun.domain.refused_child import RefusedChild
from trainingrun.domain.starting_point import FindRun, Neighbours

_ATTEMPT: Final = re.compile("[1-9][0-9]{0,8}", re.ASCII)  # fits the status, as no other number does


@dataclass(frozen=True, slots=True)
class JobView:
    """One attempt's Job."""

    namespace: str
    name: str
    uid: str
    run: str
    run_uid: str
    owner_uid: str
    stage: Stage
    attempt: int
    created: str
    resource_version: str = "0"
    deleting: bool = False
    suspended: bool = False
    started_at: str = ""  # when the Job was created, or last resumed
    pod_ended: bool = False  # a pod of it has been counted as ended
    ending: bool = False  # it starts no other pod, and finishes when its last one has ended
    pod_settings: str = ""  # digest of the installer's settings with which it was made
    finished: str = ""  # "", "Complete" or "Failed"
    failure: str = ""  # why it has failed, as its condition says
    finished_at: str = ""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> JobView | None:
        """Read a Job; None when it lacks one of our labels, or has not the name that they lead to."""
        meta, status = body["metadata"], body.get("status") or {}
        ours = _ours(meta)
        if ours is None or ours["name"] != job_name(ours["run"], stage=ours["stage"], attempt=ours["attempt"]):
            return None
        true = {c.get("type"): c for c in status.get("conditions") or () if c.get("status") == "True"}
        end: Mapping[str, Any] = true.get("Complete") or true.get("Failed") or {}
        return cls(
            **ours,
            owner_uid=_controller(meta),
            deleting="deletionTimestamp" in meta,
            # When the spec no longer asks for it, it lasts until the Job controller has resumed the Job.
            suspended=bool((body.get("spec") or {}).get("suspend")) or "Suspended" in true,
            started_at=status.get("startTime") or "",
            pod_ended=bool(status.get("failed") or status.get("succeeded") or status.get("uncountedTerminatedPods")),
            ending=bool(true.keys() & {"FailureTarget", "SuccessCriteriaMet"}),
            pod_settings=(meta.get("annotations") or {}).get(ANNOTATION_POD_SETTINGS, ""),
            finished=end.get("type", ""),
            failure=true.get("Failed", {}).get("reason") or true.get("FailureTarget", {}).get("reason") or "",
            finished_at=end.get("lastTransitionTime", ""),
        )

    @property
    def run_key(self) -> str:
        """Key of the run it belongs to."""
        return f"{self.namespace}/{self.run}"

    @property
    def undecided(self) -> bool:
        """Whether it may still start a pod: a suspended Job goes on with a new one."""
        return not (self.finished or self.deleting or self.ending)


@dataclass(frozen=True, slots=True)
class ContainerView:
    """State of one container; `state` is waiting, running or terminated."""

    state: str = "waiting"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: str = ""
    finished_at: str = ""


@dataclass(frozen=True, slots=True)
class PodView:
    """The one pod of an attempt."""

    namespace: str
    name: str
    uid: str
    run: str
    run_uid: str
    job_uid: str
    stage: Stage
    attempt: int
    created: str
    resource_version: str = "0"
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    ip: str = ""
    node: str = ""
    deletion_at: str = ""  # when the grace period ends
    scheduled_at: str = ""
    unschedulable: str = ""
    asks: Mapping[str, Decimal] = field(default_factory=dict)  # of the scheduler; known while no node can run the pod
    node_selector: Mapping[str, str] = field(default_factory=dict)  # likewise
    mounted: bool = False  # its volumes are, so that its containers can be created
    disruption: str = ""
    disruption_message: str = ""
    containers: Mapping[str, ContainerView] = field(default_factory=dict)
    init_name: str = ""  # of the init container that holds back the containers of the pod
    init_container: ContainerView = ContainerView()
    gone: bool = False

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> PodView | None:
        """Read a Pod; None when it lacks one of our labels and so is not ours."""
        meta, status = body["metadata"], body.get("status") or {}
        ours = _ours(meta)
        if ours is None:
            return None
        conditions = {c.get("type"): c for c in status.get("conditions") or ()}
        scheduled = conditions.get("PodScheduled", {})
        disruption = conditions.get("DisruptionTarget", {})
        disrupted = disruption.get("status") == "True"
        spec = body.get("spec") or {}
        waits = scheduled.get("reason") == "Unschedulable"
        added = status.get("initContainerStatuses") or ()
        init: Mapping[str, Any] = next((entry for entry in added if _holds_back(entry)), {})
        return cls(
            **ours,
            job_uid=_controller(meta),
            phase=status.get("phase", "Pending"),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            ip=status.get("podIP", ""),
            node=spec.get("nodeName", ""),
            deletion_at=meta.get("deletionTimestamp", ""),
            scheduled_at=scheduled.get("lastTransitionTime", "") if scheduled.get("status") == "True" else "",
            unschedulable=scheduled.get("message", "") if waits else "",
            asks=requests_of(spec) if waits else {},
            node_selector=dict(spec.get("nodeSelector") or {}) if waits else {},
            mounted=conditions.get("PodReadyToStartContainers", {}).get("status") == "True",
            disruption=disruption.get("reason", "") if disrupted else "",
            disruption_message=disruption.get("message", "") if disrupted else "",
            containers={
                entry["name"]: _container(entry.get("state") or {}) for entry in status.get("containerStatuses") or ()
            },
            init_name=init.get("name", ""),
            init_container=_container(init.get("state") or {}),
        )

    @property
    def run_key(self) -> str:
        """Key of the run it belongs to."""
        return f"{self.namespace}/{self.run}"

    @property
    def ended(self) -> bool:
        """Whether no container runs any more."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def agent(self) -> ContainerView:
        """Its agent; without a state of its own before the kubelet reports one."""
        return self.containers.get(AGENT, ContainerView())

    @property
    def started(self) -> bool:
        """Whether our containers have started, whatever containers the cluster has added to the pod."""
        return all(container.state != "waiting" for container in self._own())

    @property
    def done(self) -> bool:
        """Whether our containers have ended, whatever containers the cluster has added to the pod."""
        return self.ended or all(container.state == "terminated" for container in self._own())

    def _own(self) -> list[ContainerView]:
        names = [AGENT, WORKER[self.stage]] if self.stage in WORKER else [AGENT]
        return [self.containers.get(name, ContainerView()) for name in names]

    def departed(self) -> PodView:
        """The same pod after it was removed from the API: its verdict stays readable."""
        return replace(self, gone=True)


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything known about one run besides the object itself. Users can write most of it.

    `jobs` name the run as their owner; jobs.py says which are believed. `lingering` are all pods with the run's labels,
    whoever owns them: the next attempt waits until they have ended. `document` and `specs` (of Jobs, by UID) are read
    only when a decision asks for them; `known_text` is a document of the right digest that was read before.
    """

    find_run: FindRun
    jobs: tuple[JobView, ...] = ()
    lingering: tuple[PodView, ...] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)  # the newest report of an agent
    hints: Mapping[str, str] = field(default_factory=dict)  # the newest warning Event, by UID of its object
    crowd: Crowd = NOBODY  # of the run's namespace
    board_lost: bool = False  # something else than the operator has deleted a part of the run's TensorBoard
    neighbours: Neighbours = tuple  # for names that may be meant
    nodes: Nodes = UNKNOWN
    refused: RefusedChild | None = None  # a child that the API server does not create now
    document: Document | None = None
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    known_text: str = ""
    unread_pods: frozenset[str] = frozenset()  # UIDs of ended Jobs: only the watch has shown their pods until now

    def pods_of(self, job_uid: str | None) -> tuple[PodView, ...]:
        """Pods of a Job; none without its UID."""
        return tuple(pod for pod in self.lingering if job_uid and pod.job_uid == job_uid)


def _ours(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Fields that Jobs and Pods have in common; None for an object that lacks one of our labels."""
    labels = meta.get("labels") or {}
    try:
        from_labels = {
            "run": labels[LABEL_RUN],
            "run_uid": labels[LABEL_RUN_UID],
            "stage": Stage(labels[LABEL_STAGE]),
            "attempt": int(labels[LABEL_ATTEMPT]) if _ATTEMPT.fullmatch(labels[LABEL_ATTEMPT]) else 0,
        }
    except (KeyError, ValueError):
        return None
    if not from_labels["attempt"]:
        return None
    return {
        **from_labels,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "created": meta.get("creationTimestamp", ""),
        "resource_version": str(meta.get("resourceVersion", "0")),
    }


def _container(state: Mapping[str, Any]) -> ContainerView:
    for kind in ("terminated", "running", "waiting"):
        if kind in state:
            detail = state[kind] or {}
            return ContainerView(
                state=kind,
                reason=detail.get("reason", ""),
                message=detail.get("message", ""),
                exit_code=detail.get("exitCode"),
                started_at=detail.get("startedAt") or "",
                finished_at=detail.get("finishedAt") or "",
            )
    return ContainerView()


def _holds_back(status: Mapping[str, Any]) -> bool:
    """Whether the pod's containers wait for this init container: `started` is of sidecars that never end."""
    ended = (status.get("state") or {}).get("terminated")
    return not status.get("started") and (ended is None or ended.get("exitCode") != 0)


def _controller(meta: Mapping[str, Any]) -> str:
    return next((o["uid"] for o in meta.get("ownerReferences") or () if o.get("controller")), "")
