"""Pods of an ended Job that the watch has not shown are read, so that a verdict is never missed because it is late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from trainingrun.api.clock import SYSTEM
from trainingrun.api.names import Stage
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.engine.cache import Cache
from trainingrun.engine.fact_reader import FactReader
from trainingrun.engine.memory import Memories
from trainingrun.engine.node_reader import NodeReader
from trainingrun.kube.client import Api
from trfakes.builders import RUN_UID, a_job, a_pod, a_run

LABELS = {
    "trainingrun.dev/run": "tire",
    "trainingrun.dev/run-uid": RUN_UID,
    "trainingrun.dev/stage": "prep",
    "trainingrun.dev/attempt": "1",
}


class OnePod:
    """An API server with the pod of one attempt."""

    def __init__(self) -> None:
        self.queries: list[Mapping[str, str]] = []

    async def call(self, method: str, path: str, *, query: Mapping[str, str]) -> dict[str, Any]:
        assert (method, path) == ("GET", "/api/v1/namespaces/default/pods")
        self.queries.append(query)
        meta = {"name": "tire-prep-1-x", "namespace": "default", "uid": "pod", "labels": LABELS, "resourceVersion": "7"}
        return {"items": [{"metadata": meta, "spec": {}, "status": {"phase": "Failed"}}]}


async def test_reads_the_pods_of_an_ended_job_once_a_decision() -> None:
    run, job, server, cache = a_run().build(), a_job(Stage.PREP, finished="Failed"), OnePod(), Cache()
    api, memories = cast("Api", server), Memories()
    reader = FactReader(api, cache=cache, memories=memories, nodes=NodeReader(api, allowed=False), clock=SYSTEM)
    cache.put_run(run)
    cache.put_job(job)
    reader.begin(run)
    assert reader.observe(run).unread_pods == {job.uid}
    decision = Decision(draft=Draft(run, datetime.now(UTC)), read_pods=[job])
    assert await reader.read(run, decision)
    assert server.queries == [{"labelSelector": f"trainingrun.dev/run-uid={RUN_UID},trainingrun.dev/stage=prep"}]
    seen = reader.observe(run)
    assert [pod.uid for pod in seen.lingering] == ["pod"]
    assert not seen.unread_pods
    reader.begin(run)
    assert reader.observe(run).unread_pods == {job.uid}


def test_a_pod_that_was_deleted_meanwhile_stays_away() -> None:
    cache, pod = Cache(), a_pod()
    cache.drop_pod(pod)
    cache.put_read_pod(pod)
    assert not cache.pods
