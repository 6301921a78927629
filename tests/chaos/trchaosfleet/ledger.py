"""What has really happened: the pods that ran and how they ended, and all that the API server has stored since.

Invariant: nothing here comes from an operator's own words except the stored statuses, which are what is judged.
Versions are the API server's resource versions, which count all changes of all kinds: they tell what came first.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trainingrun.api.names import LABEL_ATTEMPT, LABEL_RUN_UID, LABEL_STAGE, Stage
from trchaosfleet.kube import Body
from trchaosfleet.script import Script
from trchaosfleet.trace import Trace


@dataclass
class PodLife:
    """One pod of a stage, as its kubelet knows it."""

    uid: str
    namespace: str
    name: str
    run_uid: str
    stage: Stage
    attempt: int
    job_uid: str
    started: bool = False
    ended: bool = False
    outcome: str = ""  # of its agent's verdict; empty without one
    disturbed: bool = False  # it was told to end, or its object is gone
    lost_at: float = float("inf")  # wall clock time from which the operator may give it up


@dataclass
class JobLife:
    """One Job: the version that created it, and whether it was seen from the beginning."""

    uid: str
    name: str
    run_uid: str
    stage: Stage
    attempt: int
    version: int
    exact: bool
    deleted: bool = False


@dataclass
class RunLife:
    """One run with the versions of its status."""

    uid: str
    namespace: str
    name: str
    script: Script
    body: Body
    statuses: list[tuple[int, Body, Body]] = field(default_factory=list)  # version, spec, status
    gone: bool = False
    deleted_by_user: bool = False

    @property
    def status(self) -> Body:
        """The newest status."""
        return self.statuses[-1][2] if self.statuses else {}

    def at(self, version: int) -> tuple[Body, Body]:
        """Spec and status as they were just before a version."""
        found: tuple[Body, Body] = ({}, {})
        for number, spec, status in self.statuses:
            if number >= version:
                break
            found = spec, status
        return found


def condition(status: Body, kind: str) -> Body:
    """A condition of a status; empty if it has none of this kind."""
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def is_true(status: Body, kind: str) -> bool:
    """Whether a condition is True."""
    return condition(status, kind).get("status") == "True"


def attempts(status: Body, stage: Stage) -> Body:
    """The entry of a stage in `status.attempts`."""
    return next((entry for entry in status.get("attempts") or () if entry["stage"] == stage), {})


class Ledger:
    """Everything about one schedule; `lost_after` is the operator's `lostPodSeconds`."""

    def __init__(self, *, seed: int, lost_after: float, trace: Trace) -> None:
        self._seed, self._lost_after, self.trace = seed, lost_after, trace
        self.runs: dict[str, RunLife] = {}  # by UID
        self.pods: dict[str, PodLife] = {}
        self.jobs: dict[str, JobLife] = {}
        self.violations: list[str] = []
        self._live: defaultdict[str, set[str]] = defaultdict(set)

    def violate(self, text: str) -> None:
        """Record a broken invariant, once."""
        self.trace("VIOLATION", text)
        if text not in self.violations:
            self.violations.append(text)

    def see_run(self, kind: str, body: Body) -> None:
        """Take a change of a run."""
        self.trace.body(f"run {kind}", body)
        meta = body["metadata"]
        run = self.runs.get(meta["uid"])
        if run is None:
            script = Script.draw(f"{self._seed} {meta['name']}")
            run = self.runs[meta["uid"]] = RunLife(meta["uid"], meta["namespace"], meta["name"], script, body)
        run.body = body
        if kind == "DELETED":
            run.gone = True
            return
        version, status = int(meta["resourceVersion"]), body.get("status") or {}
        if not run.statuses or run.statuses[-1][0] < version:
            run.statuses.append((version, body["spec"], status))

    def see_job(self, kind: str, body: Body) -> None:
        """Take a change of a Job."""
        meta = body["metadata"]
        labels = meta.get("labels") or {}
        if LABEL_STAGE not in labels:
            return
        self.trace.body(f"job {kind}", body)
        known = self.jobs.get(meta["uid"])
        if known is None:
            where = (labels[LABEL_RUN_UID], Stage(labels[LABEL_STAGE]), int(labels[LABEL_ATTEMPT]))
            version = int(meta["resourceVersion"])
            known = self.jobs[meta["uid"]] = JobLife(meta["uid"], meta["name"], *where, version, kind == "ADDED")
        known.deleted |= kind == "DELETED"

    def see_pod(self, kind: str, body: Body) -> PodLife | None:
        """Take a change of a pod; None if it is not one of a stage."""
        meta = body["metadata"]
        labels = meta.get("labels") or {}
        if LABEL_STAGE not in labels:
            return None
        self.trace.body(f"pod {kind}", body)
        pod = self.pods.get(meta["uid"])
        if pod is None:
            job_uid = next((owner["uid"] for owner in meta.get("ownerReferences") or ()), "")
            where = (labels[LABEL_RUN_UID], Stage(labels[LABEL_STAGE]), int(labels[LABEL_ATTEMPT]))
            pod = self.pods[meta["uid"]] = PodLife(meta["uid"], meta["namespace"], meta["name"], *where, job_uid)
        if "deletionTimestamp" in meta:
            deletion = datetime.fromisoformat(meta["deletionTimestamp"]).replace(tzinfo=UTC)
            pod.lost_at = min(pod.lost_at, deletion.timestamp() + self._lost_after)
        return pod

    def start(self, pod: PodLife) -> None:
        """Record that a pod's containers start; no other attempt of its run may live."""
        self.trace("containers start", pod.name)
        for uid in self._live[pod.run_uid]:
            other = self.pods[uid]
            if other.job_uid != pod.job_uid and time.time() < other.lost_at:
                self.violate(f"two live attempts: {pod.name} starts while {other.name} runs")
        pod.started = True
        self._live[pod.run_uid].add(pod.uid)

    def end(self, pod: PodLife, outcome: str, *, disturbed: bool) -> None:
        """Record that a pod's containers have ended; before the API server knows."""
        self.trace("containers end", pod.name, outcome or "(nothing)", "disturbed" if disturbed else "")
        pod.ended, pod.outcome, pod.disturbed = True, outcome, disturbed
        self._live[pod.run_uid].discard(pod.uid)

    def script_of(self, pod: PodLife) -> Script | None:
        """The script of a pod's run; None before the run was seen."""
        run = self.runs.get(pod.run_uid)
        return run.script if run is not None else None

    def ends_of(self, run: RunLife, stage: Stage) -> dict[int, list[PodLife]]:
        """Pods of a stage of a run that started, by attempt."""
        found: defaultdict[int, list[PodLife]] = defaultdict(list)
        for pod in self.pods.values():
            if pod.run_uid == run.uid and pod.stage is stage and pod.started:
                found[pod.attempt].append(pod)
        return found


def summary(run: RunLife) -> dict[str, Any]:
    """What a report needs of a run that did not end as it should."""
    status = run.status
    return {
        "phase": status.get("phase"),
        "message": status.get("message"),
        "attempts": [
            {key: entry.get(key) for key in ("stage", "number", "ended", "failures", "lastOutcome", "nextRetryAt")}
            for entry in status.get("attempts") or ()
        ],
    }
