"""The Job controller of Kubernetes 1.35, for Jobs of one pod that is never replaced after a failure.

As there, a pod is counted in steps, so that none is counted twice or forgotten: its UID goes into
`uncountedTerminatedPods` together with FailureTarget or SuccessCriteriaMet, then its finalizer is removed, then it is
counted; Failed or Complete follows only when no pod is terminating any more.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainingrun.api.names import LABEL_STAGE
from trchaos.store import ChaosStore
from trfakes.store import Change, Object, StatusError

FINALIZER: Final = "batch.kubernetes.io/job-tracking"
SYNC_SECONDS: Final = (0.02, 1.0)  # from a change until the controller looks at its Job
STEP_SECONDS: Final = (0.005, 0.2)  # between two of its writes
AGAIN_SECONDS: Final = (1.0, 60.0)  # until it tries to create a pod again, first and at most
ENDED: Final = {"Succeeded", "Failed"}
_TARGETS: Final = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}
_REASONS: Final = {
    "FailureTarget": {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"},
    "SuccessCriteriaMet": {"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods"},
}


class JobController:
    """Looks after the Jobs of runs; `quota_full` are namespaces in which no pod is admitted."""

    def __init__(self, store: ChaosStore, *, chance: random.Random, quota_full: set[str]) -> None:
        self._store, self._chance, self._quota_full = store, chance, quota_full
        self._loop = asyncio.get_running_loop()
        self.late_until = 0.0  # before, it looks at no Job
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._failures: Counter[str] = Counter()  # to create a pod, by UID of the Job

    def see(self, change: Change) -> None:
        """Take a change of a Job or a pod."""
        body = change.body
        if change.plural == "jobs" and LABEL_STAGE in (body["metadata"].get("labels") or {}):
            if change.kind == "DELETED":
                self._later(SYNC_SECONDS, self._release_orphans, body)
            else:
                self._queue(body)
        elif change.plural == "pods":
            job = self.job_of(body)
            if job is not None:
                self._queue(job)
            elif change.kind != "DELETED" and is_tracked(body):
                self._later(SYNC_SECONDS, self._release, body)

    def pods_of(self, job: Object) -> list[Object]:
        """The pods that a Job controls."""
        uid, namespace = job["metadata"]["uid"], job["metadata"]["namespace"]
        return [pod for pod in self._store.select("pods", namespace=namespace) if controller_of(pod) == uid]

    def job_of(self, pod: Object) -> Object | None:
        """The Job that controls a pod; None if it is gone."""
        for reference in pod["metadata"].get("ownerReferences") or ():
            found = self._store.find("jobs", reference["name"], namespace=pod["metadata"]["namespace"])
            if found is not None and found["metadata"]["uid"] == reference["uid"]:
                return found
        return None

    def _queue(self, job: Object) -> None:
        if job["metadata"]["uid"] not in self._queued:
            self._queued.add(job["metadata"]["uid"])
            late = max(0.0, self.late_until - self._loop.time())
            self._loop.call_later(late + self._chance.uniform(*SYNC_SECONDS), self._sync, job)

    def _sync(self, seen: Object) -> None:
        """Look at a Job: create or delete its pod, note which pods have ended, and whether the Job has."""
        uid = seen["metadata"]["uid"]
        self._queued.discard(uid)
        job = self._store.current("jobs", seen)
        if job is None or is_finished(job):
            return
        if uid in self._busy:
            self._queue(job)
            return
        status, pods = dict(job.get("status") or {}), self.pods_of(job)
        uncounted = {kind: list(_uncounted(status).get(kind) or ()) for kind in ("succeeded", "failed")}
        _take_ended(uncounted, pods, waits=_waits(job))
        succeeded = status.get("succeeded", 0) + len(uncounted["succeeded"])
        failed = status.get("failed", 0) + len(uncounted["failed"])
        suspended = bool(job["spec"].get("suspend"))
        if not status.get("startTime") and not suspended:
            status["startTime"] = self._store.now_text()
        target = next((kind for kind in _TARGETS if has_condition(job, kind)), "")
        if not target and failed > int(job["spec"].get("backoffLimit", 6)):
            target = "FailureTarget"
        active = [pod for pod in pods if is_active(pod)]
        if target:
            self._delete(active)
            active = []
        else:
            active = self._manage(job, active, wanted=1 - succeeded)
            if succeeded and not active:
                target = "SuccessCriteriaMet"
            else:
                self._show_suspension(status, suspended=suspended)
        tracked = [pod for pod in self.pods_of(job) if is_tracked(pod)]
        if target == "FailureTarget":  # every pod that is left has failed
            known = {*uncounted["succeeded"], *uncounted["failed"]}
            uncounted["failed"] += [p["metadata"]["uid"] for p in tracked if p["metadata"]["uid"] not in known]
        if target and not has_condition(job, target):
            self._set_condition(status, target, **_REASONS[target])
        status |= {"uncountedTerminatedPods": {kind: uids for kind, uids in uncounted.items() if uids}}
        status |= {"active": len(active), "ready": sum(1 for pod in active if _phase(pod) == "Running")}
        status["terminating"] = self._terminating(job)
        self._write(job, status)
        self._busy.add(uid)
        done = [pod for pod in tracked if target or _has_ended(pod, waits=_waits(job))]
        self._later(STEP_SECONDS, self._flush, job, done)

    def _flush(self, seen: Object, done: list[Object]) -> None:
        """Remove finalizers of pods that were noted, count these, and finish the Job when all are counted."""
        self._busy.discard(seen["metadata"]["uid"])
        for pod in done:
            self._release(pod)
        job = self._store.current("jobs", seen)
        if job is None or is_finished(job):
            return
        status = dict(job.get("status") or {})
        left = {pod["metadata"]["uid"] for pod in self.pods_of(job) if is_tracked(pod)}
        uncounted = {}
        for kind, uids in _uncounted(status).items():
            counted = [uid for uid in uids if uid not in left]
            if counted:
                status[kind] = status.get(kind, 0) + len(counted)
            if len(counted) < len(uids):
                uncounted[kind] = [uid for uid in uids if uid in left]
        status |= {"uncountedTerminatedPods": uncounted, "terminating": self._terminating(job)}
        target = next((kind for kind in _TARGETS if has_condition(job, kind)), "")
        if target and not uncounted and not status["terminating"]:
            self._set_condition(status, _TARGETS[target], **_REASONS[target])
            if target == "SuccessCriteriaMet":
                status["completionTime"] = self._store.now_text()
        self._write(job, status)

    def _manage(self, job: Object, active: list[Object], *, wanted: int) -> list[Object]:
        """Create the pod that is wanted, or delete what a suspended Job still runs; return what is active then."""
        if job["spec"].get("suspend"):
            for pod in active:
                self._release(pod)  # first, so that these pods do not count as failed
            self._delete(active)
            return []
        terminating = self._terminating(job) if _waits(job) else 0
        if not active and wanted > terminating and "deletionTimestamp" not in job["metadata"]:
            made = self._make_pod(job)
            return [] if made is None else [made]
        return active

    def _make_pod(self, job: Object) -> Object | None:
        meta, template = job["metadata"], job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        body = {
            "metadata": {
                "name": f"{meta['name']}-{self._chance.getrandbits(20):05x}",
                "labels": dict((template.get("metadata") or {}).get("labels") or {}),
                "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
                "finalizers": [FINALIZER],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        try:
            if meta["namespace"] in self._quota_full:
                message = "pods is forbidden: exceeded quota: pods, requested: count/pods=1, used: 9, limited: 9"
                raise StatusError(403, message, reason="Forbidden")
            made = self._store.create("pods", body, namespace=meta["namespace"])
        except StatusError as error:
            self._store.warn(job, "FailedCreate", f"Error creating: {error.message}")
            self._failures[meta["uid"]] += 1
            wait = min(AGAIN_SECONDS[1], AGAIN_SECONDS[0] * 2.0 ** min(self._failures[meta["uid"]], 8))
            self._loop.call_later(wait * self._chance.uniform(0.5, 1.0), self._queue, job)
            return None
        self._failures.pop(meta["uid"], None)
        return made

    def _show_suspension(self, status: dict[str, Any], *, suspended: bool) -> None:
        known = next((c for c in status.get("conditions") or () if c["type"] == "Suspended"), None)
        if suspended and (known is None or known["status"] != "True"):
            self._set_condition(status, "Suspended", reason="JobSuspended", message="Job suspended")
            status["startTime"] = None
        elif not suspended and known is not None and known["status"] == "True":
            self._set_condition(status, "Suspended", value="False", reason="JobResumed", message="Job resumed")
            status["startTime"] = self._store.now_text()

    def _set_condition(self, status: dict[str, Any], kind: str, *, value: str = "True", **words: str) -> None:
        now = self._store.now_text()
        made = {"type": kind, "status": value, "lastProbeTime": now, "lastTransitionTime": now, **words}
        status["conditions"] = [*(c for c in status.get("conditions") or () if c["type"] != kind), made]

    def _write(self, job: Object, status: Mapping[str, Any]) -> None:
        """Store a status if it is another one; fields that are None or 0 are left out, as in Go."""
        made = {
            field: value
            for field, value in status.items()
            if value not in (None, 0) or field in {"ready", "terminating"}
        }
        if made != (job.get("status") or {}):
            self._store.replace_status("jobs", job, made)

    def _terminating(self, job: Object) -> int:
        return sum(1 for p in self.pods_of(job) if "deletionTimestamp" in p["metadata"] and _phase(p) not in ENDED)

    def _delete(self, pods: list[Object]) -> None:
        for pod in pods:
            if (current := self._store.current("pods", pod)) is not None:
                self._store.delete("pods", current["metadata"]["name"], namespace=current["metadata"]["namespace"])

    def _release_orphans(self, job: Object) -> None:
        for pod in self.pods_of(job):
            self._release(pod)

    def _release(self, pod: Object) -> None:
        """Remove the controller's finalizer from a pod."""
        current = self._store.current("pods", pod)
        if current is not None and is_tracked(current):
            self._store.drop_finalizer("pods", current, FINALIZER)

    def _later(self, between: tuple[float, float], act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_later(self._chance.uniform(*between), act, *arguments)


def is_finished(job: Object) -> bool:
    """Whether a Job is Complete or Failed."""
    return has_condition(job, "Complete") or has_condition(job, "Failed")


def has_condition(job: Object, kind: str) -> bool:
    """Whether a condition of a Job is True."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def controller_of(body: Object) -> str:
    """UID of the owner that controls an object; empty without one."""
    return next((o["uid"] for o in body["metadata"].get("ownerReferences") or () if o.get("controller")), "")


def is_tracked(pod: Object) -> bool:
    """Whether the Job controller has not counted a pod yet."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def is_active(pod: Object) -> bool:
    """Whether a pod neither has ended nor is being deleted."""
    return _phase(pod) not in ENDED and "deletionTimestamp" not in pod["metadata"]


def _waits(job: Object) -> bool:
    """Whether another pod, and a failure, wait until a pod that is being deleted has really ended."""
    return bool(job["spec"].get("podReplacementPolicy") == "Failed")


def _has_ended(pod: Object, *, waits: bool) -> bool:
    """Whether the Job controller takes a pod for ended; unless it `waits`, from the moment at which it is deleted."""
    return _phase(pod) in ENDED if waits else not is_active(pod)


def _take_ended(uncounted: dict[str, list[str]], pods: list[Object], *, waits: bool) -> None:
    known = {*uncounted["succeeded"], *uncounted["failed"]}
    for pod in pods:
        if is_tracked(pod) and pod["metadata"]["uid"] not in known and _has_ended(pod, waits=waits):
            kind = "succeeded" if _phase(pod) == "Succeeded" else "failed"
            uncounted[kind].append(pod["metadata"]["uid"])


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _uncounted(status: Mapping[str, Any]) -> dict[str, list[str]]:
    return dict(status.get("uncountedTerminatedPods") or {})
