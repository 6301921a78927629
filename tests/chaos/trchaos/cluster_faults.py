"""Faults of the cluster: nodes, pods, quota, Secrets, images, a queue of Jobs, the bucket."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from trchaos.kind import Kind, Values, a_run_of, named, picked, seconds, share
from trfakes.store import Object

if TYPE_CHECKING:
    from trchaos.cluster import Node, Played
    from trchaos.schedule import RunPlan
    from trchaos.world import World

TAINT_SECONDS: Final = 60.0  # from the loss of a node until its pods are deleted
ENDS: Final = ("killed", "oomKilled", "scratchFull", "scratchFullTold", "nodeDiskFull", "crash")
DISRUPTIONS: Final = ("EvictionByEvictionAPI", "PreemptionByScheduler")
REFUSALS: Final = ("Preempting", "Terminated", "Shutdown", "NodeShutdown")  # reasons of pods that a kubelet ends
WAITS: Final[Mapping[str, tuple[str, str]]] = {
    "secret": ("CreateContainerConfigError", 'secret "trainingrun-s3" not found'),
    "image": ("ImagePullBackOff", 'Back-off pulling image "trainer:1": not found'),
}


def _of_its_run(world: World, values: Values, found: list[Played]) -> list[Played]:
    """Of these pods those of the run that a story is about, if it has any; "run" is None where no story is told."""
    run = named(world, "trainingruns", values.get("run") or "")
    own = [played for played in found if run is not None and played.run_uid == run["metadata"]["uid"]]
    return own or found


def _node(world: World, values: Values) -> Node:
    used = {played.node for played in _of_its_run(world, values, _played(world))}
    nodes = [node for node in world.cluster.nodes if node.name in used] or world.cluster.nodes
    return nodes[min(int(values["pick"] * len(nodes)), len(nodes) - 1)]


def _draw_pod(chance: random.Random) -> dict[str, Any]:
    return {"pick": share(chance), "run": None}


def _draw_node(chance: random.Random, _: Sequence[RunPlan]) -> Values:
    return {
        **_draw_pod(chance),
        "seconds": seconds(chance, 400.0 if chance.random() < 0.4 else 5.0, 1800.0),
        "taints": chance.random() < 0.7,
        "comesBack": chance.random() < 0.8,
    }


def _lose_node(world: World, values: Values) -> None:
    """Cut a node off: its pods go on, and nothing about them is reported; it comes back, or is removed for good."""
    node = _node(world, values)
    if node.cut_off:
        return
    world.cluster.cut_off(node)
    if values["taints"]:
        world.loop.call_later(TAINT_SECONDS, world.cluster.taint, node)

    def end() -> None:
        if not values["comesBack"]:
            world.cluster.collect_garbage(node)
        world.cluster.bring_back(node)

    world.loop.call_later(values["seconds"], end)


def _played(world: World, chosen: Any = lambda _: True) -> list[Played]:
    """Pods with a node that have not ended, by name."""
    found = (played for played in world.cluster.pods.values() if played.ended is None and chosen(played))
    return sorted(found, key=lambda played: (played.namespace, played.name))


def _one(world: World, values: Values, *, began: bool = True) -> tuple[Played, Object] | None:
    """A pod of a run that exists now."""
    found = _played(world, lambda played: played.began is not None or not began)
    played = picked(_of_its_run(world, values, found), values["pick"])
    if played is None:
        return None
    pod = world.store.find("pods", played.name, namespace=played.namespace)
    if pod is None or pod["metadata"]["uid"] != played.pod_uid:
        return None
    return played, pod


def _stuck(world: World, values: Values) -> None:
    """Delete a pod that then stays Terminating, for a finalizer or because its kubelet is lost."""
    found = _one(world, values)
    if found is None:
        return
    played, _ = found
    if values["finalizer"]:
        world.cluster.held_pods.add(played.pod_uid)
    else:
        world.cluster.cut_off(world.cluster.node_of(played))
    world.store.delete("pods", played.name, namespace=played.namespace)

    def release() -> None:
        if values["finalizer"]:
            world.cluster.release_pod(played)
        else:
            world.cluster.bring_back(world.cluster.node_of(played))

    world.loop.call_later(values["seconds"], release)


def _force_delete(world: World, values: Values) -> None:
    """Remove a pod from the API at once, as `kubectl delete --force` does."""
    found = _one(world, values, began=False)
    if found is not None:
        world.store.remove("pods", found[0].name, namespace=found[0].namespace)


def _end(world: World, values: Values) -> None:
    """End the containers of a pod now."""
    found = _one(world, values)
    if found is not None:
        world.cluster.end_now(found[0], outcome=values["outcome"])


def _evict(world: World, values: Values) -> None:
    """Let the kubelet end a pod for a shortage of its node, or for a reason of its own."""
    found = _one(world, values, began=True)
    if found is None:
        return
    reason = values["reason"]
    message = "The node was low on resource: memory. " if reason == "Evicted" else "Pod was terminated."
    world.cluster.end_now(
        found[0], outcome="interrupted" if values["graceful"] else "killed", reason=reason, message=message
    )


def _disrupt(world: World, values: Values) -> None:
    """Delete a pod with a DisruptionTarget, as evictions and preemption do."""
    found = _one(world, values, began=False)
    if found is not None:
        world.cluster.disrupt(found[1], reason=values["reason"])


def _quota(world: World, values: Values) -> None:
    """Admit no pod in a namespace for a while."""
    namespace = values["namespace"]
    world.cluster.quota_full.add(namespace)
    world.loop.call_later(values["seconds"], world.cluster.quota_full.discard, namespace)


def _unstartable(world: World, values: Values) -> None:
    """Let no container of a namespace start for a while."""
    namespace = values["namespace"]
    world.cluster.unstartable[namespace] = WAITS[values["why"]]
    world.loop.call_later(values["seconds"], world.cluster.unstartable.pop, namespace, None)


def _draw_namespace(chance: random.Random, runs: Sequence[RunPlan]) -> dict[str, Any]:
    return {"namespace": chance.choice(runs).namespace, "seconds": seconds(chance, 5.0, 1800.0)}


def _lose_dataset(world: World, values: Values) -> None:
    """Delete the prepared data set of a run from the bucket."""
    run = named(world, "trainingruns", values["run"])
    bucket = world.cluster.buckets.get(run["metadata"]["uid"]) if run is not None else None
    if bucket is not None:
        bucket.lose_dataset(values.get("times", 1))


def _delay_jobs(world: World, values: Values) -> None:
    """Let the Job controller look at no Job for a while, as after the election of another leader."""
    world.cluster.jobs.late_until = world.loop.time() + values["seconds"]


def _unreachable(world: World, values: Values) -> None:
    """Let no operator reach an agent for a while: what it shows comes from logs then."""
    agents = world.cluster.agents
    if agents.reaches:
        agents.reaches = False
        world.loop.call_later(values["seconds"], setattr, agents, "reaches", True)


def _queue(world: World, values: Values) -> None:
    """Suspend new Jobs, admit each after a while, and preempt some again, until the queue is removed."""
    Queue(world, values).start()


class Queue:
    """A controller like Kueue, for the Jobs of one namespace."""

    def __init__(self, world: World, values: Values) -> None:
        self._world, self._values = world, values
        self._chance = world.chance(f"queue {values['seed']}")
        self._ends = world.loop.time() + values["seconds"]

    def start(self) -> None:
        self._world.store.admission.append(self._admit)
        self._world.loop.call_later(self._values["seconds"], self._remove)
        self._look()

    def _admit(self, plural: str, body: Object) -> None:
        """Suspend a Job as it is created."""
        if plural == "jobs" and body["metadata"]["namespace"] == self._values["namespace"]:
            body["spec"]["suspend"] = True

    def _look(self) -> None:
        """Admit or preempt each Job by chance."""
        if self._world.loop.time() >= self._ends:
            return
        for job in self._jobs():
            if self._chance.random() < (0.3 if job["spec"].get("suspend") else self._values["preempts"]):
                self._set(job, suspend=not job["spec"].get("suspend"))
        self._world.loop.call_later(self._chance.uniform(5.0, 60.0), self._look)

    def _remove(self) -> None:
        self._world.store.admission.remove(self._admit)
        for job in self._jobs():
            if job["spec"].get("suspend"):
                self._set(job, suspend=False)

    def _jobs(self) -> list[Object]:
        jobs = self._world.store.select("jobs", namespace=self._values["namespace"])
        return [job for job in jobs if not self._world.cluster.is_finished(job)]

    def _set(self, job: Object, *, suspend: bool) -> None:
        meta = job["metadata"]
        self._world.store.patch("jobs", meta["name"], {"spec": {"suspend": suspend}}, namespace=meta["namespace"])


KINDS: Final[Mapping[str, Kind]] = {
    "node lost": Kind(_draw_node, _lose_node, lambda values: max(float(values["seconds"]), TAINT_SECONDS)),
    "pod stuck": Kind(
        lambda chance, _: {
            **_draw_pod(chance),
            "finalizer": chance.random() < 0.4,
            "seconds": seconds(chance, 300.0 if chance.random() < 0.4 else 5.0, 1800.0),
        },
        _stuck,
    ),
    "pod force deleted": Kind(lambda chance, _: _draw_pod(chance), _force_delete),
    "containers ended": Kind(lambda chance, _: {**_draw_pod(chance), "outcome": chance.choice(ENDS)}, _end),
    "pod evicted": Kind(
        lambda chance, _: {
            **_draw_pod(chance),
            "reason": chance.choice(("Evicted", "Evicted", *REFUSALS)),
            "graceful": chance.random() < 0.5,
        },
        _evict,
    ),
    "pod disrupted": Kind(lambda chance, _: {**_draw_pod(chance), "reason": chance.choice(DISRUPTIONS)}, _disrupt),
    "quota full": Kind(_draw_namespace, _quota),
    "containers cannot start": Kind(
        lambda chance, runs: {**_draw_namespace(chance, runs), "why": chance.choice(sorted(WAITS))}, _unstartable
    ),
    "data set lost": Kind(
        lambda chance, runs: {"run": a_run_of(chance, runs), "times": chance.choice((1, 1, 2, 4))}, _lose_dataset
    ),
    "Job controller late": Kind(lambda chance, _: {"seconds": seconds(chance, 2.0, 12.0)}, _delay_jobs),
    "agents out of reach": Kind(lambda chance, _: {"seconds": seconds(chance, 25.0, 600.0)}, _unreachable),
    "queue of Jobs": Kind(
        lambda chance, runs: {
            **_draw_namespace(chance, runs),
            "seed": chance.getrandbits(20),
            "preempts": chance.choice((0.0, 0.2, 0.4, 0.6)),
        },
        _queue,
    ),
}
