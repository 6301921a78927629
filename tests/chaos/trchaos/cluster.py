"""Job controller, scheduler and kubelets, played on the model's objects with delays of their own."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trainingrun.api.names import LABEL_ATTEMPT, LABEL_RUN, LABEL_RUN_UID, LABEL_STAGE
from trchaos.agents import SHIP_SECONDS, AgentLife, End, PlayedAgents
from trchaos.bucket import Bucket
from trchaos.store import ChaosStore
from trfakes.store import Change, Object

CONTROLLER_SECONDS: Final = (0.02, 1.0)
KUBELET_SECONDS: Final = (0.05, 1.0)
WAIT_SECONDS: Final = (5.0, 20.0)  # until a kubelet tries again what did not work
START_SECONDS: Final = (0.5, 8.0)  # image, volumes, start of the containers


@dataclass
class Node:
    """A node: while it is cut off, its pods go on and nothing about them reaches the API."""

    name: str
    room: int
    cut_off: bool = False
    late: list[Callable[[], None]] = field(default_factory=list)  # what its kubelet reports when it is back


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


class Cluster:
    """Everything that is not the API server, the operator, or the user."""

    def __init__(
        self,
        store: ChaosStore,
        *,
        chance: random.Random,
        wish_of: Callable[[str], Wish],
        updated: Callable[[], str],
        nodes: int = 3,
        room: int = 8,
    ) -> None:
        self.store, self._chance, self._wish_of = store, chance, wish_of
        self._loop = asyncio.get_running_loop()
        self.nodes = [Node(f"node-{number}", room) for number in range(nodes)]
        self.agents = PlayedAgents(self._loop.time, updated, chance=chance)
        self.buckets: dict[str, Bucket] = {}
        self.pods: dict[str, Played] = {}  # by UID, also those that are gone
        self.quota_full: set[str] = set()  # namespaces in which no pod is admitted
        self.unstartable: dict[str, tuple[str, str]] = {}  # namespaces in which no container starts: reason, message
        self.held_pods: set[str] = set()  # UIDs of pods with a finalizer: they are not removed
        self.on_begin: list[Callable[[Played], None]] = []
        self._addresses = 0
        store.listeners.append(self._see)

    # What happens to objects -----------------------------------------------------------------------------------------

    def _see(self, change: Change) -> None:
        body = change.body
        if change.plural == "jobs" and LABEL_STAGE in (body["metadata"].get("labels") or {}):
            if change.kind != "DELETED":
                self._later(CONTROLLER_SECONDS, self._control, body)
        elif change.plural == "pods":
            if change.kind == "DELETED":
                self._later(CONTROLLER_SECONDS, self._pod_gone, body)
                self._end_process(body["metadata"]["uid"], outcome="removed")
            elif change.kind == "ADDED":
                self._later(CONTROLLER_SECONDS, self._schedule, body)
            elif "deletionTimestamp" in body["metadata"]:
                self._later(KUBELET_SECONDS, self._terminate, body)

    # Job controller --------------------------------------------------------------------------------------------------

    def _control(self, seen: Object) -> None:
        job = self._current("jobs", seen)
        if job is None or self.is_finished(job):
            return
        meta, status = job["metadata"], job.get("status") or {}
        pods = self._pods_of(job)
        suspended = any(c["type"] == "Suspended" and c["status"] == "True" for c in status.get("conditions") or ())
        if (job.get("spec") or {}).get("suspend"):
            for pod in pods:
                self.store.delete("pods", pod["metadata"]["name"], namespace=meta["namespace"])
            if not suspended:
                self._set_job(job, self._condition("Suspended"), startTime=None)
            return
        if suspended:
            self._set_job(job, {**self._condition("Suspended"), "status": "False"}, startTime=self.store.now_text())
            return  # this change comes back here
        if any((pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"} for pod in pods):
            return  # the kubelet's report brings the end
        if not pods and not status.get("failed") and not status.get("succeeded"):
            self._make_pod(job)

    def _make_pod(self, job: Object) -> None:
        meta, template = job["metadata"], job["spec"]["template"]
        if meta["namespace"] in self.quota_full:
            self._event(job, "FailedCreate", "Error creating: pods is forbidden: exceeded quota: pods, used: pods=9")
            self._loop.call_later(self._chance.uniform(5, 15), self._control, job)
            return
        if not (job.get("status") or {}).get("startTime"):
            self._set_job(job, None, startTime=self.store.now_text())
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        body = {
            "metadata": {
                "name": f"{meta['name']}-{self._chance.getrandbits(20):05x}",
                "labels": dict(template["metadata"]["labels"]),
                "ownerReferences": [owner],
            },
            "spec": copy.deepcopy(template["spec"]),
            "status": {"phase": "Pending"},
        }
        self.store.create("pods", body, namespace=meta["namespace"])

    def _pod_gone(self, pod: Object) -> None:
        """A pod was removed from the API: a Job that is not suspended has failed with it, unless it had ended."""
        owner = self._job_of(pod)
        if owner is None or self.is_finished(owner) or (owner["spec"] or {}).get("suspend"):
            return
        if any(
            c["type"] == "Suspended" and c["status"] == "True"
            for c in (owner.get("status") or {}).get("conditions") or ()
        ):
            self._control(owner)
            return
        if not (owner.get("status") or {}).get("succeeded"):
            self._finish_job(owner, failed=True)

    def _finish_job(self, seen: Object, *, failed: bool) -> None:
        job = self._current("jobs", seen)
        if job is None or self.is_finished(job):
            return
        counted = {"failed": 1} if failed else {"succeeded": 1}
        reason = {"reason": "BackoffLimitExceeded"} if failed else {}
        self._set_job(
            job, {**self._condition("FailureTarget" if failed else "SuccessCriteriaMet"), **reason}, **counted
        )
        self._later(CONTROLLER_SECONDS, self._end_job, job, failed)

    def _end_job(self, seen: Object, failed: bool) -> None:
        job = self._current("jobs", seen)
        if job is not None and not self.is_finished(job):
            reason = {"reason": "BackoffLimitExceeded"} if failed else {}
            self._set_job(job, {**self._condition("Failed" if failed else "Complete"), **reason})

    def _set_job(self, job: Object, condition: Mapping[str, Any] | None, **fields: Any) -> None:
        current = self._current("jobs", job)
        if current is None:
            return
        conditions = [dict(c) for c in (current.get("status") or {}).get("conditions") or ()]
        if condition is not None:
            conditions = [c for c in conditions if c["type"] != condition["type"]] + [dict(condition)]
        meta = current["metadata"]
        self.store.update_status("jobs", meta["name"], namespace=meta["namespace"], conditions=conditions, **fields)

    def _condition(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "status": "True", "lastTransitionTime": self.store.now_text()}

    @staticmethod
    def is_finished(job: Object) -> bool:
        conditions = (job.get("status") or {}).get("conditions") or ()
        return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)

    # Scheduler -------------------------------------------------------------------------------------------------------

    def _schedule(self, seen: Object) -> None:
        pod = self._current("pods", seen)
        if pod is None or pod["spec"].get("nodeName"):
            return
        free = [node for node in self.nodes if not node.cut_off and self._used(node) < node.room]
        meta = pod["metadata"]
        if not free:
            lacks = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/3 nodes: full.",
            }
            if (pod.get("status") or {}).get("conditions") != [lacks]:
                self.store.update_status("pods", meta["name"], namespace=meta["namespace"], conditions=[lacks])
            self._loop.call_later(self._chance.uniform(1, 5), self._schedule, pod)
            return
        node = self._chance.choice(free)
        self.store.patch("pods", meta["name"], {"spec": {"nodeName": node.name}}, namespace=meta["namespace"])
        at = self.store.now_text()
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at}
        self.store.update_status("pods", meta["name"], namespace=meta["namespace"], conditions=[scheduled])
        labels = meta["labels"]
        self.pods[meta["uid"]] = Played(
            run_uid=labels[LABEL_RUN_UID],
            stage=labels[LABEL_STAGE],
            attempt=int(labels[LABEL_ATTEMPT]),
            job_uid=meta["ownerReferences"][0]["uid"],
            pod_uid=meta["uid"],
            name=meta["name"],
            namespace=meta["namespace"],
            node=node.name,
        )
        self._later(START_SECONDS, self._start, pod)

    def _used(self, node: Node) -> int:
        return sum(1 for played in self.pods.values() if played.node == node.name and played.ended is None)

    # Kubelet ---------------------------------------------------------------------------------------------------------

    def _start(self, seen: Object) -> None:
        pod, played = self._current("pods", seen), self.pods[seen["metadata"]["uid"]]
        node = self._node(played.node)
        if node.cut_off:
            node.late.append(lambda: self._start(seen))
            return
        if pod is None or "deletionTimestamp" in pod["metadata"] or played.ended is not None:
            return
        if played.namespace in self.unstartable:
            self._wait(played, pod, *self.unstartable[played.namespace])
            return
        played.began = self._loop.time()
        bucket = self.buckets.setdefault(played.run_uid, Bucket())
        wish = self._wish_of(f"{played.namespace}/{pod['metadata']['labels'][LABEL_RUN]}")
        count = sum(1 for other in bucket.lives if other.stage == played.stage)
        life = AgentLife(
            stage=played.stage,
            pod_uid=played.pod_uid,
            bucket=bucket,
            end=wish.end_of(played.stage, count),
            steps=wish.steps,
            rate=wish.rate,
            started_at=self._loop.time(),
            changes=_changes(pod),
        )
        played.life = life
        life.begin()
        for listener in self.on_begin:
            listener(played)
        self._addresses += 1
        address = f"10.{self._addresses >> 16}.{(self._addresses >> 8) & 255}.{self._addresses & 255}"
        self.agents.by_address[address] = life
        now = self.store.now_text()
        states = [{"name": c["name"], "state": {"running": {"startedAt": now}}} for c in pod["spec"]["containers"]]
        self._report(played, phase="Running", podIP=address, containerStatuses=states)
        self._loop.call_later(life.seconds, self._work_done, played)

    def _wait(self, played: Played, pod: Object, reason: str, message: str) -> None:
        """Report why the containers of a pod do not start, and try again."""
        state = {"waiting": {"reason": reason, "message": message}}
        states = [{"name": container["name"], "state": state} for container in pod["spec"]["containers"]]
        if (pod.get("status") or {}).get("containerStatuses") != states:
            self._report(played, containerStatuses=states)
        self._later(WAIT_SECONDS, self._start, pod)

    def _work_done(self, played: Played) -> None:
        life = played.life
        if played.ended is None and life is not None and life.stopped_at is None:
            self._end(played, outcome=life.end.outcome)

    def _terminate(self, seen: Object) -> None:
        """The kubelet sees a deletion: SIGTERM, then the end of the pod, then its removal."""
        meta = seen["metadata"]
        played = self.pods.get(meta["uid"])
        if played is None:
            self._remove(seen)
            return
        node = self._node(played.node)
        if node.cut_off:
            node.late.append(lambda: self._terminate(seen))
            return
        if played.began is None:
            played.ended = self._loop.time()
            played.outcome = "neverStarted"
            self._later(KUBELET_SECONDS, self._remove, seen)
        elif played.ended is not None:
            self._later(KUBELET_SECONDS, self._remove, seen)
        elif played.life is not None and played.life.stopped_at is None:
            played.life.stopped_at = self._loop.time()
            grace = float(meta.get("deletionGracePeriodSeconds") or 0)
            self._loop.call_later(min(grace, self._chance.uniform(0.2, SHIP_SECONDS)), self._stopped, played, seen)

    def _stopped(self, played: Played, seen: Object) -> None:
        if played.ended is None:
            self._end(played, outcome="interrupted")
        self._later(KUBELET_SECONDS, self._remove, seen)

    def _end(self, played: Played, *, outcome: str, **more: str) -> None:
        """The containers of a pod end."""
        life = played.life
        assert life is not None
        now = self._loop.time()
        left: dict[str, Any] = {}
        if outcome in {"killed", "oomKilled", "scratchFull"}:
            life.ended_at = now
        else:
            left = life.finish(now, outcome=outcome)
        played.ended, played.outcome = now, left.get("outcome", outcome)
        failed = left.get("outcome") != "succeeded"
        at = self.store.now_text()
        started = at
        states = []
        pod = self.store.find("pods", played.name, namespace=played.namespace)
        if pod is None or pod["metadata"]["uid"] != played.pod_uid:
            return
        for container in pod["spec"]["containers"]:
            agent = container["name"] == "agent"
            ended: dict[str, Any] = {"exitCode": int(failed), "startedAt": started, "finishedAt": at}
            ended["reason"] = "Error" if failed else "Completed"
            if outcome == "killed" and agent:
                ended["exitCode"] = 137
            if outcome == "oomKilled" and (agent == (played.stage == "prep")):
                ended |= {"exitCode": 137, "reason": "OOMKilled"}
            if agent and left:
                ended["message"] = json.dumps(left)
            states.append({"name": container["name"], "state": {"terminated": ended}})
        fields: dict[str, Any] = {"phase": "Failed" if failed else "Succeeded", "containerStatuses": states}
        if outcome == "scratchFull":
            fields |= {
                "reason": "Evicted",
                "message": 'Usage of EmptyDir volume "scratch" exceeds the limit "20Gi". ',
            }
        self._report(played, **fields, **more)

    def _report(self, played: Played, **fields: Any) -> None:
        node = self._node(played.node)

        def tell() -> None:
            pod = self.store.find("pods", played.name, namespace=played.namespace)
            if pod is None or pod["metadata"]["uid"] != played.pod_uid:
                return
            made = self.store.update_status("pods", played.name, namespace=played.namespace, **fields)
            if fields.get("phase") in {"Succeeded", "Failed"}:
                owner = self._job_of(made)
                if owner is not None:
                    self._later(CONTROLLER_SECONDS, self._pod_ended, owner, fields["phase"] == "Failed")

        if node.cut_off:
            node.late.append(tell)
        else:
            tell()

    def _pod_ended(self, seen: Object, failed: bool) -> None:
        job = self._current("jobs", seen)
        if job is None or (job["spec"] or {}).get("suspend"):
            return
        self._finish_job(job, failed=failed)

    def _end_process(self, uid: str, *, outcome: str) -> None:
        """The pod object is gone; on a node that is cut off its process goes on."""
        played = self.pods.get(uid)
        if played is None or played.ended is not None or self._node(played.node).cut_off:
            return
        played.ended, played.outcome = self._loop.time(), outcome
        if played.life is not None:
            played.life.ended_at = played.ended

    def _remove(self, seen: Object) -> None:
        pod = self._current("pods", seen)
        if pod is not None and pod["metadata"]["uid"] not in self.held_pods:
            self.store.remove("pods", pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])

    # Faults of the cluster -------------------------------------------------------------------------------------------

    def cut_off(self, node: Node) -> None:
        """A node loses its network."""
        node.cut_off = True

    def bring_back(self, node: Node) -> None:
        """It is back: its kubelet reports all that it could not report."""
        node.cut_off = False
        late, node.late = node.late, []
        for report in late:
            self._later(KUBELET_SECONDS, report)

    def taint(self, node: Node) -> None:
        """The taint controller deletes the pods of a node that has been unreachable for too long."""
        if not node.cut_off:
            return
        for played in self.pods.values():
            pod = self.store.find("pods", played.name, namespace=played.namespace)
            if played.node == node.name and pod is not None and pod["metadata"]["uid"] == played.pod_uid:
                self.disrupt(pod, reason="DeletionByTaintManager")

    def disrupt(self, pod: Object, *, reason: str) -> None:
        """Delete a pod for a reason of the cluster, which its condition DisruptionTarget tells."""
        meta = pod["metadata"]
        target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "The pod has to go."}
        conditions = [*((pod.get("status") or {}).get("conditions") or ()), target]
        self.store.update_status("pods", meta["name"], namespace=meta["namespace"], conditions=conditions)
        self.store.delete("pods", meta["name"], namespace=meta["namespace"])

    def end_now(self, played: Played, *, outcome: str, **more: str) -> None:
        """End the containers of a pod; `more` is what its kubelet adds to the status of the pod."""
        if played.began is not None and played.ended is None:
            self._end(played, outcome=outcome, **more)

    def release_pod(self, played: Played) -> None:
        """Remove the finalizer of a pod, and the pod if nothing else keeps it."""
        self.held_pods.discard(played.pod_uid)
        pod = self.store.find("pods", played.name, namespace=played.namespace)
        if pod is not None and pod["metadata"]["uid"] == played.pod_uid and "deletionTimestamp" in pod["metadata"]:
            self._terminate(pod)

    def node_of(self, played: Played) -> Node:
        """The node that a pod runs on."""
        return self._node(played.node)

    # Helpers ---------------------------------------------------------------------------------------------------------

    def _later(self, between: tuple[float, float], act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_later(self._chance.uniform(*between), act, *arguments)

    def _current(self, plural: str, seen: Object) -> Object | None:
        """The newest version of an object that was seen; None if it is gone."""
        meta = seen["metadata"]
        found = self.store.find(plural, meta["name"], namespace=meta["namespace"])
        return found if found is not None and found["metadata"]["uid"] == meta["uid"] else None

    def _pods_of(self, job: Object) -> list[Object]:
        uid = job["metadata"]["uid"]
        return [
            pod
            for pod in self.store.select("pods", namespace=job["metadata"]["namespace"])
            if any(ref["uid"] == uid for ref in pod["metadata"].get("ownerReferences") or ())
        ]

    def _job_of(self, pod: Object) -> Object | None:
        for reference in pod["metadata"].get("ownerReferences") or ():
            found = self.store.find("jobs", reference["name"], namespace=pod["metadata"]["namespace"])
            if found is not None and found["metadata"]["uid"] == reference["uid"]:
                return found
        return None

    def _node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def _event(self, about: Object, reason: str, message: str) -> None:
        meta = about["metadata"]
        body = {
            "metadata": {"name": f"{meta['name']}.{self.store.version:x}"},
            "involvedObject": {"uid": meta["uid"], "name": meta["name"], "namespace": meta["namespace"]},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": self.store.now_text(),
        }
        self.store.create("events", body, namespace=meta["namespace"])


def _changes(pod: Object) -> dict[str, Any]:
    """What this attempt does otherwise than the spec says, as its agent reads it."""
    for container in pod["spec"]["containers"]:
        for variable in container.get("env") or ():
            if variable["name"] == "TRAININGRUN_CHANGES":
                found: dict[str, Any] = json.loads(variable["value"])
                return found
    return {}
