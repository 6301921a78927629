"""Everything that is not the API server, the operator or the user: Job controller, scheduler, nodes, what may go wrong.

They work on the model's objects as those of Kubernetes 1.35 do, with delays of their own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from trchaos.agents import PlayedAgents
from trchaos.bucket import Bucket
from trchaos.jobs import JobController, is_finished
from trchaos.kubelet import Kubelets, disruption_target
from trchaos.nodes import Node, Played, Wish
from trchaos.store import ChaosStore
from trfakes.store import Change, Object

SCHEDULER_SECONDS: Final = (0.02, 1.0)
NOT_READY_SECONDS: Final = 50.0  # until the control plane sees that a node is cut off


class Cluster:
    """One cluster; faults call its methods."""

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
        self.store, self._chance = store, chance
        self._loop = asyncio.get_running_loop()
        self.nodes = [Node(f"node-{number}", room) for number in range(nodes)]
        self.agents = PlayedAgents(self._loop.time, updated, chance=chance)
        self.quota_full: set[str] = set()  # namespaces in which no pod is admitted
        self.jobs = JobController(store, chance=chance, quota_full=self.quota_full)
        self.kubelets = Kubelets(store, chance=chance, nodes=self.nodes, agents=self.agents, wish_of=wish_of)
        store.listeners.append(self._see)

    @property
    def pods(self) -> dict[str, Played]:
        """All pods that were ever scheduled, by UID."""
        return self.kubelets.pods

    @property
    def buckets(self) -> dict[str, Bucket]:
        """The bucket of each run, by its UID."""
        return self.kubelets.buckets

    @property
    def unstartable(self) -> dict[str, tuple[str, str]]:
        """Namespaces in which no container starts, with reason and message."""
        return self.kubelets.unstartable

    @property
    def held_pods(self) -> set[str]:
        """UIDs of pods with a finalizer of somebody else."""
        return self.kubelets.held_pods

    @property
    def on_begin(self) -> list[Callable[[Played], None]]:
        """Called when the containers of a pod start."""
        return self.kubelets.on_begin

    @staticmethod
    def is_finished(job: Object) -> bool:
        """Whether a Job is Complete or Failed."""
        return is_finished(job)

    def _see(self, change: Change) -> None:
        self.jobs.see(change)
        if change.plural != "pods":
            return
        if change.kind == "DELETED":
            self.kubelets.see_removal(change.body)
        elif change.kind == "ADDED":
            self._later(SCHEDULER_SECONDS, self._schedule, change.body)
        elif "deletionTimestamp" in change.body["metadata"]:
            self.kubelets.see_deletion(change.body)

    # Scheduler -------------------------------------------------------------------------------------------------------

    def _schedule(self, seen: Object) -> None:
        pod = self.store.current("pods", seen)
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
            return
        free = [node for node in self.nodes if node.ready and self._used(node) < node.room]
        if not free:
            waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            self._show(pod, {**waits, "message": f"0/{len(self.nodes)} nodes are available: {len(self.nodes)} full."})
            self._later((1.0, 5.0), self._schedule, pod)
            return
        node, meta = self._chance.choice(free), pod["metadata"]
        self.store.patch("pods", meta["name"], {"spec": {"nodeName": node.name}}, namespace=meta["namespace"])
        self._show(pod, {"type": "PodScheduled", "status": "True", "lastTransitionTime": self.store.now_text()})
        self.kubelets.take(pod, node=node.name)

    def _show(self, pod: Object, condition: dict[str, Any]) -> None:
        """Set a condition of a pod, if it is not so already."""
        current = self.store.current("pods", pod)
        if current is None:
            return
        known = (current.get("status") or {}).get("conditions") or ()
        made = [*(c for c in known if c["type"] != condition["type"]), condition]
        if made != list(known):
            self.store.replace_status("pods", current, {**(current.get("status") or {}), "conditions": made})

    def _used(self, node: Node) -> int:
        return sum(1 for played in self.pods.values() if played.node == node.name and played.ended is None)

    # What may go wrong -----------------------------------------------------------------------------------------------

    def cut_off(self, node: Node) -> None:
        """Cut a node off from the API: its pods go on; after a while the control plane uses it no more."""
        node.cut_off, node.cut_off_at = True, self._loop.time()
        self._loop.call_later(NOT_READY_SECONDS, self._lose, node, node.cut_off_at)

    def _lose(self, node: Node, cut_off_at: float) -> None:
        if node.cut_off and node.cut_off_at == cut_off_at:
            node.ready = False

    def bring_back(self, node: Node) -> None:
        """Connect a node again: its kubelet reports what it could not, and ends what was deleted meanwhile."""
        if node.cut_off:
            node.cut_off, node.ready = False, True
            self.kubelets.sync(node)

    def reboot(self, node: Node, seconds: float) -> None:
        """Restart a node: its containers end at once, which is reported when it is back."""
        if node.cut_off:
            return
        self.cut_off(node)
        for played in list(self.pods.values()):
            if played.node == node.name:
                self.end_now(played, outcome="killed")
        self._loop.call_later(seconds, self.bring_back, node)

    def taint(self, node: Node) -> None:
        """Delete the pods of a node that has been unreachable for too long, as the taint manager does."""
        if node.cut_off:
            for pod in self._pods_on(node):
                self.disrupt(pod, reason="DeletionByTaintManager")

    def collect_garbage(self, node: Node) -> None:
        """Remove the pods of a node that no longer exists, as PodGC does: they fail, and are deleted by force."""
        for pod in self._pods_on(node):
            status = pod.get("status") or {}
            if status.get("phase") not in {"Succeeded", "Failed"}:
                conditions = [*(status.get("conditions") or ()), disruption_target("DeletionByPodGC")]
                self.store.replace_status("pods", pod, {**status, "phase": "Failed", "conditions": conditions})
            self.store.remove("pods", pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])

    def disrupt(self, pod: Object, *, reason: str) -> None:
        """Delete a pod as evictions and preemption do: its condition DisruptionTarget names the reason."""
        meta = pod["metadata"]
        self._show(pod, {**disruption_target(reason), "lastTransitionTime": self.store.now_text()})
        self.store.delete("pods", meta["name"], namespace=meta["namespace"])

    def end_now(self, played: Played, *, outcome: str, **more: str) -> None:
        """End the containers of a pod; `more` is what its kubelet adds to the status of the pod."""
        if played.began is not None and played.ended is None:
            self.kubelets.end(played, outcome=outcome, **more)

    def release_pod(self, played: Played) -> None:
        """Remove the foreign finalizer of a pod, and the pod if nothing else keeps it."""
        self.held_pods.discard(played.pod_uid)
        pod = self.kubelets.pod_of(played)
        if pod is not None and "deletionTimestamp" in pod["metadata"] and played.ended is not None:
            self.kubelets.remove(pod)

    def node_of(self, played: Played) -> Node:
        """The node that a pod runs on."""
        return next(node for node in self.nodes if node.name == played.node)

    def _pods_on(self, node: Node) -> list[Object]:
        found = (self.kubelets.pod_of(played) for played in self.pods.values() if played.node == node.name)
        return [pod for pod in found if pod is not None]

    def _later(self, between: tuple[float, float], act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_later(self._chance.uniform(*between), act, *arguments)


__all__ = ["Cluster", "Node", "Played", "Wish"]
