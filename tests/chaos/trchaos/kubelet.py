"""The kubelets: they start pods, report on them, and end those that are deleted, each at its own pace."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainingrun.api.names import LABEL_RUN
from trchaos.agents import SHIP_SECONDS, AgentLife, PlayedAgents
from trchaos.bucket import Bucket
from trchaos.nodes import Node, Played, Wish
from trchaos.store import ChaosStore
from trfakes.store import Object

KUBELET_SECONDS: Final = (0.05, 1.0)
POD_GC_SECONDS: Final = (0.0, 20.0)  # its period
WAIT_SECONDS: Final = (5.0, 20.0)  # until a kubelet tries again what did not work
START_SECONDS: Final = (0.5, 8.0)  # image, volumes, start of the containers
KILLED: Final = {"killed", "oomKilled", "scratchFull", "nodeDiskFull"}  # ends without a verdict
TOLD: Final = "scratchFullTold"  # the agent that its kubelet ends for its scratch still says that it was interrupted
# Reasons with which a kubelet ends pods itself; for those of the node it adds a DisruptionTarget.
BY_KUBELET: Final = {"Evicted", "Preempting", "Terminated", "Shutdown", "NodeShutdown"}
NO_SPACE: Final = 28  # exit code of an agent that cannot even write its verdict
OWN_LIMIT: Final = 'Usage of EmptyDir volume "scratch" exceeds the limit "20Gi". '


class Kubelets:
    """All kubelets of a cluster; `pods` are those that were ever scheduled, by UID."""

    def __init__(
        self,
        store: ChaosStore,
        *,
        chance: random.Random,
        nodes: list[Node],
        agents: PlayedAgents,
        wish_of: Callable[[str], Wish],
    ) -> None:
        self._store, self._chance, self._wish_of = store, chance, wish_of
        self._loop = asyncio.get_running_loop()
        self._nodes, self._agents = {node.name: node for node in nodes}, agents
        self.pods: dict[str, Played] = {}
        self.buckets: dict[str, Bucket] = {}
        self.unstartable: dict[str, tuple[str, str]] = {}  # namespaces in which no container starts: reason, message
        self.held_pods: set[str] = set()  # UIDs of pods with a finalizer of somebody else: they are not removed
        self.on_begin: list[Callable[[Played], None]] = []
        self._ending: set[str] = set()
        self._addresses = 0

    def take(self, pod: Object, *, node: str) -> None:
        """Take a pod that was bound to a node."""
        self.pods[pod["metadata"]["uid"]] = Played.of(pod, node=node)
        self.later(START_SECONDS, self._start, pod)

    def see_deletion(self, pod: Object) -> None:
        """A pod is being deleted: SIGTERM, then the end of its containers, then its removal from the API."""
        self.later(KUBELET_SECONDS, self._terminate, pod)

    def see_removal(self, pod: Object) -> None:
        """A pod is gone from the API: what still runs of it is ended, once its kubelet sees that."""
        played = self.pods.get(pod["metadata"]["uid"])
        if played is not None and played.ended is None and not self._nodes[played.node].cut_off:
            self.later(KUBELET_SECONDS, self._kill_orphan, played)

    def sync(self, node: Node) -> None:
        """A kubelet has its connection back: it does and reports what it could not, and ends what was removed."""
        late, node.late = node.late, []
        for report in late:
            self.later(KUBELET_SECONDS, report)
        for played in self.pods.values():
            if played.node == node.name and played.ended is None and self.pod_of(played) is None:
                self.later(KUBELET_SECONDS, self._kill_orphan, played)

    def end(self, played: Played, *, outcome: str, **more: str) -> None:
        """End the containers of a pod; `more` is what the kubelet adds to the status of the pod."""
        life, now = played.life, self._loop.time()
        assert life is not None
        left: dict[str, Any] = {}
        if outcome in KILLED:
            life.ended_at = now
        else:
            left = life.finish(now, outcome="interrupted" if outcome == TOLD else outcome)
        played.ended, played.outcome = now, outcome if outcome == TOLD else left.get("outcome", outcome)
        pod = self.pod_of(played)
        if pod is None:
            return
        failed = left.get("outcome") != "succeeded"
        names = [container["name"] for container in pod["spec"]["containers"]]
        states = [self._terminated(name, played, failed=failed, outcome=outcome, left=left) for name in names]
        fields: dict[str, Any] = {"phase": "Failed" if failed else "Succeeded", "containerStatuses": states, **more}
        if outcome in {"scratchFull", TOLD}:
            fields = {"reason": "Evicted", "message": OWN_LIMIT, **fields}
        by_node = more.get("reason") in BY_KUBELET
        self.report(played, disruption="TerminationByKubelet" if by_node else "", **fields)

    def remove(self, pod: Object) -> None:
        """Confirm a deletion: nothing of the pod runs any more."""
        current = self._store.current("pods", pod)
        if current is not None and current["metadata"]["uid"] not in self.held_pods:
            self._store.remove("pods", current["metadata"]["name"], namespace=current["metadata"]["namespace"])

    def report(self, played: Played, *, disruption: str = "", **fields: Any) -> None:
        """Report the status of a pod, now or when the node has its connection back."""

        def tell() -> None:
            pod = self.pod_of(played)
            if pod is None:
                return
            status = {**(pod.get("status") or {}), **fields}
            if disruption:
                status["conditions"] = [*(status.get("conditions") or ()), disruption_target(disruption)]
            if status != pod.get("status"):
                self._store.replace_status("pods", pod, status)

        self._on_line(played, tell)

    def pod_of(self, played: Played) -> Object | None:
        """The pod as the API has it; None if it is gone."""
        pod = self._store.find("pods", played.name, namespace=played.namespace)
        return pod if pod is not None and pod["metadata"]["uid"] == played.pod_uid else None

    def later(self, between: tuple[float, float], act: Callable[..., None], *arguments: Any) -> None:
        """Do something after a while."""
        self._loop.call_later(self._chance.uniform(*between), act, *arguments)

    def _start(self, seen: Object) -> None:
        played = self.pods[seen["metadata"]["uid"]]
        if self._nodes[played.node].cut_off:
            self._nodes[played.node].late.append(lambda: self._start(seen))
            return
        pod = self._store.current("pods", seen)
        if pod is None or "deletionTimestamp" in pod["metadata"] or played.ended is not None:
            return
        lost = self._lost_volume(pod)
        if lost is not None:
            self._store.warn(pod, "FailedMount", lost)
            self.later(WAIT_SECONDS, self._start, pod)
            return
        if played.namespace in self.unstartable:
            self._wait(played, pod, *self.unstartable[played.namespace])
            return
        played.began, played.started_at = self._loop.time(), self._store.now_text()
        life = played.life = self._begin_life(played, pod)
        for listener in self.on_begin:
            listener(played)
        self._addresses += 1
        address = f"10.{self._addresses >> 16}.{(self._addresses >> 8) & 255}.{self._addresses & 255}"
        self._agents.by_address[address] = life
        started = {"running": {"startedAt": played.started_at}}
        states = [{"name": c["name"], "ready": True, "state": started} for c in pod["spec"]["containers"]]
        conditions = self._with_sandbox(pod)
        self.report(played, phase="Running", podIP=address, containerStatuses=states, conditions=conditions)
        self._loop.call_later(life.seconds, self._work_done, played)

    def _begin_life(self, played: Played, pod: Object) -> AgentLife:
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
        life.begin()
        return life

    def _lost_volume(self, pod: Object) -> str | None:
        """What a kubelet says of a volume whose ConfigMap does not exist; a pod that runs needs it no more."""
        for volume in pod["spec"].get("volumes") or ():
            name = (volume.get("configMap") or {}).get("name")
            if name and self._store.find("configmaps", name, namespace=pod["metadata"]["namespace"]) is None:
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : configmap "{name}" not found'
        return None

    def _wait(self, played: Played, pod: Object, reason: str, message: str) -> None:
        """Report why the containers of a pod do not start, and try again."""
        state = {"waiting": {"reason": reason, "message": message}}
        states = [
            {"name": container["name"], "ready": False, "state": state} for container in pod["spec"]["containers"]
        ]
        self.report(played, containerStatuses=states, conditions=self._with_sandbox(pod))
        self.later(WAIT_SECONDS, self._start, pod)

    def _with_sandbox(self, pod: Object) -> list[dict[str, Any]]:
        """Conditions of a pod whose volumes are mounted."""
        ready = {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": self._store.now_text()}
        known = (pod.get("status") or {}).get("conditions") or ()
        return list(known) if any(c["type"] == ready["type"] for c in known) else [*known, ready]

    def _work_done(self, played: Played) -> None:
        life = played.life
        if played.ended is None and life is not None and life.stopped_at is None:
            self.end(played, outcome=life.end.outcome)

    def _terminate(self, seen: Object) -> None:
        uid = seen["metadata"]["uid"]
        played = self.pods.get(uid)
        if played is None:
            self.later(POD_GC_SECONDS, self._collect_unscheduled, seen)
            return
        if self._nodes[played.node].cut_off:
            self._nodes[played.node].late.append(lambda: self._terminate(seen))
            return
        if uid in self._ending:
            return
        self._ending.add(uid)
        if played.began is None:
            if played.ended is None:
                played.ended, played.outcome = self._loop.time(), "neverStarted"
                self.report(played, phase="Failed")
            self.later(KUBELET_SECONDS, self.remove, seen)
        elif played.ended is not None:
            self.later(KUBELET_SECONDS, self.remove, seen)
        else:
            grace = float(seen["metadata"].get("deletionGracePeriodSeconds") or 0)
            self._stop(played, grace, lambda: self.later(KUBELET_SECONDS, self.remove, seen))

    def _collect_unscheduled(self, seen: Object) -> None:
        """What PodGC does with a pod that is being deleted and has no node: it fails, then nothing keeps it."""
        pod = self._store.current("pods", seen)
        if pod is not None and not pod["spec"].get("nodeName"):
            self._store.replace_status("pods", pod, {**(pod.get("status") or {}), "phase": "Failed"})
            self.remove(pod)

    def _kill_orphan(self, played: Played) -> None:
        """End what runs of a pod that the API has not any more."""
        if played.ended is not None:
            return
        if played.life is None:
            played.ended, played.outcome = self._loop.time(), "removed"
        elif not self._nodes[played.node].cut_off:
            self._stop(played, SHIP_SECONDS, lambda: None)

    def _stop(self, played: Played, grace: float, then: Callable[[], None]) -> None:
        """SIGTERM: within its grace period the agent ends with a verdict."""

        def stopped() -> None:
            if played.ended is None:
                self.end(played, outcome="interrupted")
            then()

        assert played.life is not None
        if played.life.stopped_at is None:
            played.life.stopped_at = self._loop.time()
            self._loop.call_later(min(grace, self._chance.uniform(0.2, SHIP_SECONDS)), stopped)

    def _on_line(self, played: Played, act: Callable[[], None]) -> None:
        node = self._nodes[played.node]
        if node.cut_off:
            node.late.append(act)
        else:
            act()

    def _terminated(
        self, name: str, played: Played, *, failed: bool, outcome: str, left: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The state of a container that has ended."""
        agent, at = name == "agent", self._store.now_text()
        ended: dict[str, Any] = {"exitCode": int(failed), "startedAt": played.started_at, "finishedAt": at}
        ended["reason"] = "Error" if failed else "Completed"
        if outcome == "killed" and agent:
            ended["exitCode"] = 137
        if outcome == "nodeDiskFull" and agent:
            ended["exitCode"] = NO_SPACE
        if outcome == "oomKilled" and (agent == (played.stage == "prep")):
            ended |= {"exitCode": 137, "reason": "OOMKilled"}
        if agent and left:
            ended["message"] = json.dumps(left)
        return {"name": name, "ready": False, "state": {"terminated": ended}}


def disruption_target(reason: str) -> dict[str, Any]:
    """The condition of a pod that the cluster ends or deletes for a reason of its own."""
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "The pod has to go."}


def _changes(pod: Object) -> dict[str, Any]:
    """What this attempt does otherwise than the spec says, as its agent reads it."""
    for container in pod["spec"]["containers"]:
        for variable in container.get("env") or ():
            if variable["name"] == "TRAININGRUN_CHANGES":
                found: dict[str, Any] = json.loads(variable["value"])
                return found
    return {}
