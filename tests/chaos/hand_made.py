"""Sequences made by hand for rules: nothing happens by itself in their world; short ways to let something happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from trchaos.cluster import Played, Wish
from trchaos.invariants import Invariants
from trchaos.loop import run_virtual
from trchaos.server import Request
from trchaos.world import World
from trfakes.builders import a_run
from trfakes.store import Object


class Hand:
    """One world with all rules and one run, `default/run`."""

    def __init__(self, **spec: Any) -> None:
        self.world = World(0)
        self.world.store.listeners.remove(self.world.cluster._see)
        self.invariants = Invariants(self.world)
        self.operator: Any = None
        self.run = self.make_run("run", **spec)
        self.uid = self.run["metadata"]["uid"]

    @property
    def broken(self) -> set[str]:
        """Names of the rules that were broken."""
        return {violation.rule for violation in self.invariants.violations}

    def make_run(self, name: str, **spec: Any) -> Object:
        self.world.create_run(a_run(name).spec(**spec).body(), Wish())
        return self.world.store.get("trainingruns", name)

    def change(self, **spec: Any) -> None:
        """Change the spec as a user does."""
        self.world.store.patch("trainingruns", "run", {"spec": spec})

    def store(self, *, by: str = "operator-0", **fields: Any) -> None:
        """Store fields of the status, as an operator does; conditions as {type: (status, reason)}."""
        held = self.world.store.get("trainingruns", "run")
        old = {c["type"]: c for c in (held.get("status") or {}).get("conditions") or ()}
        generation = held["metadata"]["generation"]
        for kind, (status, reason) in fields.pop("conditions", {}).items():
            same = kind in old and old[kind]["status"] == status
            old[kind] = {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "",
                "lastTransitionTime": old[kind]["lastTransitionTime"] if same else self.world.store.now_text(),
            }
        conditions = [{**condition, "observedGeneration": generation} for condition in old.values()]
        now = {"phase": "Preparing", **(held.get("status") or {}), "observedGeneration": generation, **fields}
        self.world.server.acting = by
        status = {**now, "conditions": conditions}
        self.world.store.patch("trainingruns", "run", {"status": status}, status=True)
        self.world.server.acting = ""

    def job(self, stage: str = "prep", attempt: int = 1, *, suspend: bool = False, image: str = "agent:1") -> Object:
        """Create the Job of an attempt; the status records the one before."""
        before = {"stage": stage, "number": attempt - 1, "ended": attempt - 1, "jobUID": "a"}
        if attempt > 1:
            self.store(attempts=[before])
        owner = {"uid": self.uid, "controller": True, "name": "run", "kind": "TrainingRun"}
        labels = _labels(self.uid, stage, attempt)
        meta = {"name": f"run-{stage}-{attempt}", "labels": labels, "ownerReferences": [owner]}
        pod = {"containers": [{"name": "agent", "image": image}]}
        body = {"metadata": meta, "spec": {"suspend": suspend, "template": {"spec": pod}}}
        return self.world.store.create("jobs", body)

    def pod(self, job: Object, *, phase: str = "Running", begins: bool = True, name: str = "a") -> Played:
        """Create the pod of a Job and let its containers run."""
        labels = job["metadata"]["labels"]
        owner = {"uid": job["metadata"]["uid"], "controller": True, "name": job["metadata"]["name"], "kind": "Job"}
        meta = {"name": f"{job['metadata']['name']}-{name}", "labels": labels, "ownerReferences": [owner]}
        body = {"metadata": meta, "spec": {"nodeName": "node-0"}, "status": {"phase": phase}}
        pod = self.world.store.create("pods", body)
        played = Played(
            run_uid=self.uid,
            stage=labels["trainingrun.dev/stage"],
            attempt=int(labels["trainingrun.dev/attempt"]),
            job_uid=job["metadata"]["uid"],
            pod_uid=pod["metadata"]["uid"],
            name=meta["name"],
            namespace="default",
            node="node-0",
        )
        self.world.cluster.pods[played.pod_uid] = played
        if begins:
            played.began = self.world.loop.time()
            self.invariants._began(played)
        return played

    def end(self, played: Played, outcome: str) -> None:
        """End the containers of a pod."""
        played.ended, played.outcome = self.world.loop.time(), outcome
        self.world.store.update_status("pods", played.name, phase="Succeeded" if outcome == "succeeded" else "Failed")

    def document(self) -> None:
        """Create the run's ConfigMap."""
        meta = {"name": f"run-resolved-{self.uid[:8]}", "ownerReferences": [{"uid": self.uid, "controller": True}]}
        body = {"metadata": meta, "data": {"resolved.json": '{"train": {"batchSize": 8}}'}}
        self.world.store.create("configmaps", body)

    def call(self, method: str, path: str, status: int = 200, *, changed: bool = True, by: str = "operator-0") -> None:
        """Let the server note a call."""
        self.world.server._record(Request(self.world.loop.time(), by, method, path, status, changed))

    def lease(self, holder: str, *, name: str = "trainingrun-operator-cluster", namespace: str = "kube-system") -> None:
        body = {"metadata": {"name": name}, "spec": {"holderIdentity": f"trainingrun-system/{holder}"}}
        self.world.store.create("leases", body, namespace=namespace)

    async def calm(self) -> None:
        """Let an operator serve for long enough that it has to show everything; it does nothing itself."""
        process = self.world.start_operator()
        process.operator.saw_run = lambda *_: None  # type: ignore[method-assign]
        process.operator.cache.put_run = lambda *_: False  # type: ignore[method-assign]
        await asyncio.sleep(60)

    def ends_by(self, played: Played, seconds: float) -> None:
        """Delete a pod so that its grace period ends in so many seconds."""
        pod = self.world.store.get("pods", played.name)
        at = (self.world.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = {**pod["metadata"], "deletionTimestamp": at}
        self.world.store._keep(("pods", "default", played.name), {**pod, "metadata": meta}, "MODIFIED")


def broken_by(sequence: Callable[[Hand], Coroutine[Any, Any, None]], **spec: Any) -> set[str]:
    """Names of the rules that a sequence breaks."""

    async def play() -> set[str]:
        hand = Hand(**spec)
        await sequence(hand)
        hand.invariants.close()
        found = hand.broken
        for process in hand.world.processes:
            process.kill()
        await asyncio.sleep(0)
        return found

    return run_virtual(play())


def _labels(uid: str, stage: str, attempt: int) -> dict[str, str]:
    prefix = "trainingrun.dev"
    return {f"{prefix}/run-uid": uid, f"{prefix}/stage": stage, f"{prefix}/attempt": str(attempt)}
