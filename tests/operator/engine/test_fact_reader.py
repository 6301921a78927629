"""Pods of a run that no watch has shown yet are read, so that neither a live one nor a verdict is missed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.engine.cache import Cache
from trainingrun.engine.fact_reader import FactReader
from trainingrun.engine.memory import Memories
from trainingrun.engine.node_reader import NodeReader
from trainingrun.kube.client import Api
from trfakes.builders import RUN_UID, a_pod, a_run

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


async def test_reads_the_pods_of_a_run_once_a_decision() -> None:
    run, server, cache = a_run().build(), OnePod(), Cache()
    api = cast("Api", server)
    reader = FactReader(api, cache=cache, memories=Memories(), nodes=NodeReader(api, allowed=False))
    cache.put_run(run)
    decision = Decision(draft=Draft(run, datetime.now(UTC)), read_pods=True)
    for _ in range(2):
        reader.begin(run)
        assert await reader.read(run, decision)
        assert not await reader.read(run, decision)
    wanted = f"trainingrun.dev/stage,trainingrun.dev/run-uid={RUN_UID}"
    assert [query["labelSelector"] for query in server.queries] == [wanted, wanted]
    assert [pod.uid for pod in reader.observe(run).lingering] == ["pod"]


def test_pods_that_were_read_replace_what_was_known_unless_they_were_deleted_meanwhile() -> None:
    cache, run, gone, deleted = Cache(), a_run().build(), a_pod(uid="gone"), a_pod(uid="deleted")
    cache.put_run(run)
    cache.put_pod(gone)
    known = cache.pods_of(run)
    cache.drop_pod(deleted)
    cache.put_pods_of_run(run, known, [deleted])
    assert not cache.pods


def test_a_pod_that_changed_while_pods_were_read_is_gone_all_the_same() -> None:
    cache, run, pod = Cache(), a_run().build(), a_pod(resource_version="5")
    cache.put_run(run)
    cache.put_pod(pod)
    known = cache.pods_of(run)
    cache.put_pod(replace(pod, resource_version="6"))
    cache.put_pods_of_run(run, known, [])
    assert not cache.pods


def test_pods_of_a_run_that_was_deleted_while_they_were_read_are_not_taken() -> None:
    cache, run = Cache(), a_run().build()
    cache.put_run(run)
    cache.drop_run(run.key, uid=run.uid)
    cache.put_pods_of_run(run, (), [a_pod()])
    assert not cache.pods
