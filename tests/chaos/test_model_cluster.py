"""The model of the cluster behaves as Kubernetes 1.35 does where the operator's safety depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from trainingrun.api.names import LABEL_ATTEMPT, LABEL_RUN, LABEL_RUN_UID, LABEL_STAGE
from trchaos.cluster import Played, Wish
from trchaos.jobs import has_condition
from trchaos.loop import run_virtual
from trchaos.world import World
from trfakes.store import Change, Object, StatusError

LABELS = {LABEL_RUN: "tire", LABEL_RUN_UID: "run-uid", LABEL_STAGE: "prep", LABEL_ATTEMPT: "1"}
POD = {"terminationGracePeriodSeconds": 30, "containers": [{"name": "agent"}]}
JOB = {
    "metadata": {"name": "tire-prep-1", "labels": LABELS},
    "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": LABELS}, "spec": POD}},
}


class Scene:
    """A cluster with one Job whose pod runs."""

    def __init__(self, world: World) -> None:
        self.store, self.cluster = world.store, world.cluster
        self.changes: list[Change] = []
        self.store.listeners.append(self.changes.append)

    @property
    def job(self) -> Object:
        return self.store.get("jobs", "tire-prep-1")

    @property
    def played(self) -> Played:
        """The newest pod."""
        return list(self.cluster.pods.values())[-1]

    @property
    def pod(self) -> Object | None:
        return self.cluster.kubelets.pod_of(self.played)

    def true(self, *kinds: str) -> list[str]:
        return [kind for kind in kinds if has_condition(self.job, kind)]

    def suspend(self, value: bool) -> None:
        self.store.patch("jobs", "tire-prep-1", {"spec": {"suspend": value}})


def played(work: Callable[[Scene], Coroutine[Any, Any, None]], seconds: float = 20.0) -> None:
    """Run a test in virtual time, once the pod of a Job runs."""

    async def run() -> None:
        world = World(1)
        world.wishes["default/tire"] = Wish(steps=5000)  # 250 s of preparation
        scene = Scene(world)
        scene.store.create("jobs", JOB)
        await asyncio.sleep(seconds)
        await work(scene)

    run_virtual(run())


def test_a_pod_that_ends_is_counted_in_steps() -> None:
    async def work(scene: Scene) -> None:
        await asyncio.sleep(300)
        assert scene.true("SuccessCriteriaMet", "Complete") == ["SuccessCriteriaMet", "Complete"]
        assert (scene.job["status"]["succeeded"], scene.job["status"]["uncountedTerminatedPods"]) == (1, {})
        statuses = [
            change.body["status"] for change in scene.changes if change.plural == "jobs" and "status" in change.body
        ]
        noted = next(n for n, status in enumerate(statuses) if status["uncountedTerminatedPods"])
        counted = next(n for n, status in enumerate(statuses) if status.get("succeeded"))
        assert noted < counted

    played(work)


def test_a_pod_that_stays_terminating_keeps_its_job_from_being_failed() -> None:
    async def work(scene: Scene) -> None:
        node = scene.cluster.node_of(scene.played)
        scene.cluster.cut_off(node)
        scene.cluster.taint(node)
        await asyncio.sleep(120)
        assert scene.true("FailureTarget", "Failed") == ["FailureTarget"]
        assert (scene.job["status"]["failed"], scene.job["status"]["terminating"]) == (1, 1)
        assert scene.played.ended is None
        scene.cluster.bring_back(node)
        await asyncio.sleep(20)
        assert scene.true("FailureTarget", "Failed") == ["FailureTarget", "Failed"]
        assert scene.pod is None
        assert scene.played.ended is not None

    played(work)


def test_suspension_releases_the_pod_and_resuming_makes_another() -> None:
    async def work(scene: Scene) -> None:
        first = scene.played
        scene.suspend(True)
        await asyncio.sleep(30)
        assert scene.true("Suspended", "FailureTarget") == ["Suspended"]
        assert "startTime" not in scene.job["status"]
        assert first.ended is not None
        scene.suspend(False)
        await asyncio.sleep(30)
        assert scene.played is not first
        assert scene.played.began is not None
        assert scene.job["status"]["startTime"]

    played(work)


def test_what_runs_of_a_pod_removed_by_force_ends_when_its_kubelet_sees_it() -> None:
    async def work(scene: Scene) -> None:
        node = scene.cluster.node_of(scene.played)
        scene.cluster.cut_off(node)
        scene.store.remove("pods", scene.played.name)
        await asyncio.sleep(60)
        assert scene.pod is None
        assert scene.played.ended is None
        scene.cluster.bring_back(node)
        await asyncio.sleep(20)
        assert scene.played.ended is not None

    played(work)


def test_a_pod_is_removed_only_without_finalizers() -> None:
    async def work(scene: Scene) -> None:
        scene.store.remove("pods", scene.played.name)
        assert scene.pod is not None
        assert scene.pod["metadata"]["deletionGracePeriodSeconds"] == 0
        await asyncio.sleep(5)
        assert scene.pod is None
        assert scene.job["status"]["failed"] == 1

    played(work)


def test_pods_of_a_node_that_is_gone_fail_before_they_are_removed() -> None:
    async def work(scene: Scene) -> None:
        node, uid = scene.cluster.node_of(scene.played), scene.played.pod_uid
        scene.cluster.cut_off(node)
        scene.cluster.collect_garbage(node)
        await asyncio.sleep(5)
        last = [change.body for change in scene.changes if change.body["metadata"]["uid"] == uid][-1]
        assert last["status"]["phase"] == "Failed"
        assert last["status"]["conditions"][-1]["reason"] == "DeletionByPodGC"

    played(work)


def test_a_rebooted_node_ends_its_containers_and_says_so_when_it_is_back() -> None:
    async def work(scene: Scene) -> None:
        scene.cluster.reboot(scene.cluster.node_of(scene.played), 60.0)
        assert scene.played.outcome == "killed"
        await asyncio.sleep(30)
        assert scene.pod is not None
        assert scene.pod["status"]["phase"] == "Running"
        await asyncio.sleep(60)
        assert scene.true("Failed") == ["Failed"]

    played(work)


def test_a_full_quota_is_an_event_and_ends_by_itself() -> None:
    async def work(scene: Scene) -> None:
        scene.cluster.quota_full.add("default")
        scene.suspend(True)
        await asyncio.sleep(20)
        scene.suspend(False)
        first = scene.played
        await asyncio.sleep(60)
        assert {event["reason"] for event in scene.store.select("events")} == {"FailedCreate"}
        assert scene.played is first
        scene.cluster.quota_full.clear()
        await asyncio.sleep(120)
        assert scene.played is not first

    played(work)


def test_a_namespace_refuses_new_objects_while_it_ends_and_then_is_gone() -> None:
    async def work(scene: Scene) -> None:
        scene.store.end_namespace("default")
        assert _refusal(scene) == (403, "NamespaceTerminating")
        await asyncio.sleep(60)
        assert not list(scene.store.select("jobs"))
        assert _refusal(scene) == (404, "")
        scene.store.restore_namespace("default")
        scene.store.create("configmaps", {"metadata": {"name": "late"}})

    played(work)


def _refusal(scene: Scene) -> tuple[int, str]:
    try:
        scene.store.create("configmaps", {"metadata": {"name": "late"}})
    except StatusError as error:
        return error.code, next((cause["reason"] for cause in error.details.get("causes", ())), "")
    return 201, ""


def test_children_of_a_deleted_job_are_collected_later() -> None:
    async def work(scene: Scene) -> None:
        scene.store.delete("jobs", "tire-prep-1")
        assert scene.pod is not None
        await asyncio.sleep(60)
        assert scene.pod is None

    played(work)


def test_a_pod_waits_for_its_config_map() -> None:
    """The kubelet says so in an Event, and starts the pod once the ConfigMap is there."""
    volumes = [{"name": "resolved", "configMap": {"name": "tire-resolved"}}]
    job = {**JOB, "spec": {"template": {"metadata": {"labels": LABELS}, "spec": {**POD, "volumes": volumes}}}}

    async def run() -> None:
        world = World(1)
        world.store.create("jobs", job)
        await asyncio.sleep(60)
        (played,) = world.cluster.pods.values()
        events = [event for event in world.store.select("events") if event["reason"] == "FailedMount"]
        assert played.began is None
        assert events[0]["involvedObject"]["uid"] == played.pod_uid
        assert 'configmap "tire-resolved" not found' in events[0]["message"]
        world.store.create("configmaps", {"metadata": {"name": "tire-resolved"}})
        await asyncio.sleep(30)
        assert played.began is not None

    run_virtual(run())
