"""One life of a run in which every condition and every field of the status is set, with a restart after each step."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from trfakes.apiserver import ApiServer
from trfakes.builders import SETTINGS, a_run
from trfakes.fake_cluster import NUMBERS, FakeCluster, verdict
from trfakes.harness import World, agent_on, eventually, free_port
from trfakes.store import Object, Store

SETTLED_SECONDS: Final = 0.15  # for which nothing is queued: the operator has decided
SEEN_IN_TRAINING: Final = {"evalImagesInTrain": 3, "evalImagesLikeTrain": 2}
CONTINUED: Final = {"resumedFrom": {"uri": "s3://detectors/runs/old/tire-0/", "step": 40, "dataset": "Changed"}}
FEW_IMAGES: Final = {"evalImages": 12, "ap50Uncertainty": 0.21, "mAPUncertainty": 0.243}
PEAK: Final = {"peakMemoryBytes": {"agent": 200_000_000, "trainer": 3_000_000_000}}
SHIPPED: Final = {**NUMBERS["train"], **PEAK, "step": 90, "checkpointStep": 90, "newestCheckpointStep": 90}
REPORT: Final[Mapping[str, Any]] = {"contractVersion": 1, "updated": "2026-01-01T00:00:00Z"}
WRITING: Final = {
    "phase": "writing",
    "done": 30,
    "total": 120,
    "unit": "images",
    "percent": 25,
    "etaSeconds": 90,
    "images": 120,
    "savedImages": 30,
    "bytesPerSecond": 41_000_000,
    "format": "pascalVOC",
    "storage": {"ready": True},
}
TRAINING: Final = {
    "phase": "training",
    "done": 75,
    "total": 150,
    "unit": "steps",
    "step": 75,
    "steps": 150,
    "loss": 1.5,
    "checkpointStep": 50,
    "ap50": 0.5,
    "mAP": 0.25,
    "percent": 50,
    "best": {"step": 50, "mAP": 0.25, "ap50": 0.5},
    "keptCheckpoints": [50],
    "restored": {"loaded": 140, "total": 143, "startsAnew": "the class heads"},
    "storage": {"ready": True},
}
REFUSED: Final = {"storage": {"ready": False, "reason": "InvalidCredentials", "message": "403 for GET"}}
LOGS: Final = "s3://detectors/runs/default/tire-00000000/logs/"
SAVED: Final = {"images": 120, "savedImages": 30}
SUSPENDED: Final = {**SHIPPED, "resumedFromStep": 90, "step": 99, "checkpointStep": 99}
OPTIONS: Final[Mapping[str, Any]] = {
    "train": {"gpus": 1, "onDivergence": "Rollback", "onOutOfMemory": "HalveBatch"},
    "export": {"gate": {"minAP50": 0.95}},
    "activeDeadlineSeconds": 86400,
}
FINISHED: Final = {
    **NUMBERS["train"],
    "step": 100,
    "best": {"step": 90, "mAP": 0.612, "ap50": 0.896},
    "stoppedBy": "finish",
    "keptCheckpoints": [100, 99, 90],
}
EXPORTED: Final = {
    **NUMBERS["export"],
    **FEW_IMAGES,
    "checkpointReason": "best by mAP",
    "gate": {"met": False, "missed": ["AP@.5 0.912 < 0.950"], "missedCount": 1},
}
RESUMED: Final = {"resumedFromStep": 90, "stepsLost": 3, "step": 95, "checkpointStep": 95}


@dataclass(frozen=True)
class Moment:
    """A status, the same after a restart, and how many times the new operator wrote it."""

    status: dict[str, Any]
    restarted: dict[str, Any]
    writes: int


class Life:
    """Lives step by step; `moments` holds what was seen after each."""

    def __init__(self, world: World, document: dict[str, Any], port: int) -> None:
        self.world, self.moments = world, dict[str, Moment]()
        self._document, self._port = document, port
        self._settings: dict[str, Any] = {}

    async def start(self, **settings: Any) -> None:
        """Start the operator, or replace it by one of other settings; return when its watches have begun."""
        self._settings, before = settings, self._watches()
        start = self.world.replace_operator if self.world.operators else self.world.start_operator
        await start(agent_port=self._port, **settings)
        await eventually(lambda: self._watches() >= before + 3, what="three watches")

    def _watches(self) -> int:
        return len([request for request in self.world.server.requests if "?watch" in request.path])

    async def reach(self, moment: str, reached: Callable[[], Any]) -> None:
        """Wait for a state, restart the operator and wait until the new one has decided."""
        await eventually(reached, what=moment, seen=self.world.status)
        await self._settle()
        before, written = copy.deepcopy(self.world.status()), len(self.world.server.writes("/tire/status$"))
        await self.start(**self._settings)
        await self._settle()
        writes = len(self.world.server.writes("/tire/status$")) - written
        self.moments[moment] = Moment(before, copy.deepcopy(self.world.status()), writes)

    async def _settle(self) -> None:
        queue = self.world.operators[-1].operator.queue
        quiet = 0.0
        while quiet < SETTLED_SECONDS:
            await asyncio.sleep(0.03)
            quiet = 0.0 if queue._queued or queue._active else quiet + 0.03

    def condition(self, kind: str, status: str, reason: str) -> Callable[[], bool]:
        def holds() -> bool:
            found = self.world.condition(kind)
            return (found.get("status"), found.get("reason")) == (status, reason)

        return holds

    async def run_pod(self, job: str, report: Mapping[str, Any]) -> Object:
        """Start the pod of a Job, whose agent reports this."""
        found = await self.world.job(job)
        pod = self.world.cluster.start(found)
        self.world.store.patch("pods", pod["metadata"]["name"], {"spec": {"nodeName": "node-1"}})
        self.report(pod, report)
        return found

    def report(self, pod: Object | None, report: Mapping[str, Any]) -> None:
        uid = self._document.get("podUID") if pod is None else pod["metadata"]["uid"]
        self._document.clear()
        self._document.update(REPORT, podUID=uid, **report)

    def patch(self, **spec: Any) -> None:
        self.world.store.patch("trainingruns", "tire", {"spec": spec})


async def _live(life: Life) -> None:
    world, cluster = life.world, life.world.cluster
    await life.start()
    world.store.create("trainingruns", a_run().spec(**OPTIONS).body())
    job = await world.job("tire-prep-1")
    lacks = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no GPU."}
    pod = cluster.make_pod(job, conditions=[lacks])
    await life.reach("waiting", life.condition("Prepared", "False", "PodUnschedulable"))
    world.store.delete("pods", pod["metadata"]["name"])
    await life.run_pod("tire-prep-1", WRITING)
    await life.reach("preparing", lambda: world.progress().get("done") == 30)
    cluster.end(job, verdict("prep", "interrupted", numbers=SAVED))
    job = await world.job("tire-prep-2")
    await life.reach("prepared again", life.condition("Prepared", "False", "PodPending"))
    cluster.start(job)
    cluster.end(job, verdict("prep", numbers={**NUMBERS["prep"], **SEEN_IN_TRAINING, **CONTINUED}))
    job = await life.run_pod("tire-train-1", TRAINING)
    await life.reach("training", lambda: "serviceName" in world.status().get("tensorboard", {}))
    life.report(None, {**TRAINING, **REFUSED})
    await life.reach("no storage", life.condition("StorageReady", "False", "InvalidCredentials"))
    slow = {"fetch": 9.0, "work": 9.0, "ship": 9.0}
    cluster.end(job, verdict("train", "crash", numbers=SHIPPED, timings=slow, logsURI=LOGS))
    await life.reach("back-off", lambda: "nextRetryAt" in world.attempts("train"))
    job = await life.run_pod("tire-train-2", {**TRAINING, **RESUMED})
    await life.reach("resumed", lambda: world.status()["training"].get("stepsLost") == 3)
    await _suspend(life, job)
    await _lose_config_map(life)
    life.patch(suspend=False)
    job = await world.job("tire-train-3")
    cluster.start(job)
    cluster.end(job, verdict("train", "storageRefused", reason="BucketNotFound"))
    await life.reach("failed", lambda: world.status().get("phase") == "Failed")
    life.patch(retry=2)
    job = await life.run_pod("tire-train-4", {})
    await life.reach("retried", life.condition("Trained", "False", "Running"))
    cluster.end(job, verdict("train", "interrupted"))
    for number, outcome in ((5, "diverged"), (6, "outOfMemory")):
        cluster.end(await life.run_pod(f"tire-train-{number}", {}), verdict("train", outcome))
    await _finish(life)
    job = await life.run_pod("tire-export-1", {"phase": "exporting"})
    await life.reach("exporting", life.condition("Exported", "False", "Running"))
    cluster.end(job, verdict("export", numbers=EXPORTED))
    await life.reach("succeeded", lambda: "expiresAt" in world.status().get("tensorboard", {}))
    await _make_room(life)


async def _suspend(life: Life, job: Object) -> None:
    world = life.world
    world.store.graceful_pods = True
    life.patch(suspend=True)
    await life.reach("suspending", life.condition("Trained", "False", "Suspending"))
    life.world.cluster.end(job, verdict("train", "interrupted", numbers=SUSPENDED))
    world.store.delete("pods", f"{job['metadata']['name']}-x1")
    await life.reach("suspended", lambda: world.status().get("phase") == "Suspended")
    world.store.graceful_pods = False


async def _finish(life: Life) -> None:
    world = life.world
    job = await life.run_pod("tire-train-7", {})
    await eventually(life.condition("Trained", "False", "Running"), what="training")
    world.store.graceful_pods = True
    life.patch(finish=True)
    await life.reach("finishing", life.condition("Trained", "False", "Finishing"))
    world.cluster.end(job, verdict("train", "interrupted", numbers=SUSPENDED))
    world.store.delete("pods", f"{job['metadata']['name']}-x1")
    world.store.graceful_pods = False
    world.cluster.end(await life.run_pod("tire-train-8", {}), verdict("train", numbers=FINISHED))


async def _lose_config_map(life: Life) -> None:
    world = life.world
    (held,) = world.store.select("configmaps")
    world.store.delete("configmaps", held["metadata"]["name"])
    await life.start(agent_image="agent:2")
    life.patch(suspend=False)
    await life.reach("lost", life.condition("Accepted", "False", "ConfigMapLost"))
    life.patch(suspend=True, retry=1)
    await life.reach("accepted anew", life.condition("Accepted", "True", "Accepted"))


async def _make_room(life: Life) -> None:
    world = life.world
    waits = a_run("other").condition("Trained", "False", reason="QuotaExceeded").body()
    world.store.create("trainingruns", waits)
    world.store.patch("trainingruns", "tire", {"metadata": {"labels": {"looked-at": "again"}}})
    await life.reach("no room", lambda: "returnsAt" in world.status().get("tensorboard", {}))
    life.patch(tensorboard={"ttlSecondsAfterFinished": 0})
    await life.reach("expired", lambda: "tensorboard" not in world.status())


def record(folder: Path) -> dict[str, Moment]:
    """Live once; returns what was seen, in order."""

    async def live() -> dict[str, Moment]:
        store, document, port = Store(), dict[str, Any](), free_port()
        async with ApiServer(store) as server, agent_on(port, document):
            kubeconfig = str(server.kubeconfig(folder))
            patch.setenv("KUBECONFIG", kubeconfig)
            patch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", kubeconfig)
            life = Life(World(server, store, FakeCluster(store), SETTINGS), document, port)
            try:
                await _live(life)
            finally:
                await asyncio.gather(*(running.stop() for running in life.world.operators if not running.task.done()))
            return life.moments

    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        patch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.05)
        patch.setattr("trainingrun.engine.status_writer.STATUS_SECONDS", 0.05)
        patch.setattr("trainingrun.domain.verdicts.BACK_OFF_SECONDS", (0, 2))
        return asyncio.run(live())


def values(status: Mapping[str, Any], path: str, *, kind: str = "train") -> Any:
    """Value of a row; of a list that of the entry of `kind`, or else of the last one. None if there is none."""
    found: Any = status
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name.removesuffix("[]"))
        if name.endswith("[]"):
            entries = found or ()
            named = [entry for entry in entries if kind in {entry.get("stage"), entry.get("type")}]
            newest = [entry for entry in entries if not entry.keys() & {"stage", "type"}][-1:]  # of ends
            found = next(iter(named or newest), None)
    return json.loads(json.dumps(found))
