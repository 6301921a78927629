"""The operator copes with foreign and broken objects, other operators, refused requests, pods that do not start."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from trainingrun.engine.health import Health
from trainingrun.engine.lease import LostLeaseError, ScopeLease
from trainingrun.kube.client import Api
from trfakes.apiserver import Fault
from trfakes.builders import SETTINGS, a_run
from trfakes.fake_cluster import Script, verdict
from trfakes.harness import World, eventually, free_port
from trfakes.store import Object

pytestmark = pytest.mark.contract


async def test_a_foreign_job_of_the_same_name_is_left_alone_and_named(world: World) -> None:
    foreign = world.store.create("jobs", {"metadata": {"name": "tire-prep-1"}, "spec": {"template": {}}})
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: "Job default/tire-prep-1 exists" in world.status().get("message", ""))
    assert world.store.get("jobs", "tire-prep-1") == foreign
    world.store.delete("jobs", "tire-prep-1")
    assert (await world.finished())["phase"] == "Succeeded"


async def test_a_run_created_again_under_its_name_never_gets_the_old_document(world: World) -> None:
    """A kubelet can serve a deleted immutable ConfigMap to pods of the new run, so its name must not repeat."""
    await world.start_operator()
    names = []
    for _ in range(2):
        world.store.create("trainingruns", a_run().body())
        assert (await world.finished())["phase"] == "Succeeded"
        names += [body["metadata"]["name"] for body in world.store.select("configmaps")]
        world.store.delete("trainingruns", "tire")
    assert len(set(names)) == 2


async def test_one_broken_object_does_not_stop_the_others(world: World) -> None:
    await world.start_operator()
    broken: list[dict[str, Any]] = [
        {"spec": {}},
        {"spec": {"storage": []}},
        {**a_run().body(), "status": {"attempts": "none", "conditions": {}}},
        {**a_run().body(), "status": {"conditions": [{"type": "Finished", "status": "True"}], "finishedAt": "x"}},
    ]
    for number, body in enumerate(broken):
        world.store.create("trainingruns", {**body, "metadata": {"name": f"broken-{number}"}})
    labels = dict.fromkeys(("run", "run-uid", "stage", "attempt"), "x")
    bad = {"metadata": {"name": "bad", "labels": {f"trainingrun.dev/{k}": v for k, v in labels.items()}}}
    world.store.create("pods", bad)
    world.store.create("trainingruns", a_run().body())
    assert (await world.finished())["phase"] == "Succeeded"


async def test_a_second_operator_waits_for_the_lease_and_takes_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.engine.lease.RENEW_SECONDS", 0.2)
    first = await world.start_operator(pod_name="first")
    second = await world.start_operator(pod_name="second", wait=False)

    async def readiness() -> tuple[int, str]:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{second.port}/readyz") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    answer = (0, "")
    while "held by another operator" not in answer[1]:
        assert not second.operator.serving
        answer = await readiness()
    assert answer[0] == 503
    await first.stop()
    await eventually(lambda: second.operator.serving, what="the second operator takes over")
    lease = world.store.get("leases", "trainingrun-operator", namespace="trainingrun-system")
    assert lease["spec"]["holderIdentity"] == "second"


async def test_a_deleted_lease_ends_its_holder_and_is_not_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an operator that is being uninstalled would leave a Lease behind."""
    monkeypatch.setattr("trainingrun.engine.lease.RENEW_SECONDS", 0.05)
    api = await Api.connect()
    lease = ScopeLease(api, settings=SETTINGS)
    await lease.acquire(Health(port=free_port()))
    del world.store.objects["leases", "trainingrun-system", "trainingrun-operator"]
    with pytest.raises(LostLeaseError, match="Lease trainingrun-operator was deleted"):
        await lease.keep()
    await lease.release()
    await api.close()
    assert list(world.store.select("leases")) == []


async def test_an_operator_that_stops_waiting_leaves_the_lease_to_its_holder(world: World) -> None:
    await world.start_operator(pod_name="first")
    second = await world.start_operator(pod_name="second", wait=False)
    await eventually(lambda: sum("/leases/" in r.path for r in world.server.requests) > 1)
    await second.stop()
    lease = world.store.get("leases", "trainingrun-operator", namespace="trainingrun-system")
    assert lease["spec"]["holderIdentity"] == "first"


async def test_an_operator_started_before_its_api_server_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.engine.operator.START_RETRY_SECONDS", 0.1)
    world.server.faults.append(Fault("GET", "/apis/trainingrun.dev/v1alpha1$", 404, times=3))
    world.server.faults.append(Fault("GET", "/apis/trainingrun.dev/v1alpha1/trainingruns$", 503))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    assert (await world.finished())["phase"] == "Succeeded"


def shows(world: World, name: str, reason: str) -> bool:
    return bool(world.condition("Prepared", name).get("reason") == reason)


def event_about(world: World, body: Object, reason: str, message: str) -> None:
    world.store.create(
        "events",
        {
            "metadata": {"name": f"{body['metadata']['name']}.1"},
            "involvedObject": {"uid": body["metadata"]["uid"]},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": world.store.now_text(),
        },
    )


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_what_keeps_a_pod_from_starting_shows_within_15_seconds(world: World, script: Script) -> None:
    await world.start_operator()
    for name in ("quota", "gpu", "image", "secret", "deadline"):
        deadline = {"startDeadlineSeconds": 3} if name == "deadline" else {}
        world.store.create("trainingruns", a_run(name).spec(**deadline).body())
    event_about(world, await world.job("quota-prep-1"), "FailedCreate", "forbidden: exceeded quota: team")
    for name in ("gpu", "deadline"):
        message = {"reason": "Unschedulable", "message": "0/1 nodes: Insufficient nvidia.com/gpu."}
        condition = {"type": "PodScheduled", "status": "False", **message}
        world.cluster.make_pod(await world.job(f"{name}-prep-1"), conditions=[condition])
    placed = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": world.store.now_text()}]
    pull = {"name": "agent", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    image_job = await world.job("image-prep-1")
    world.cluster.make_pod(image_job, conditions=placed, containerStatuses=[pull])
    pod = world.cluster.make_pod(await world.job("secret-prep-1"), conditions=placed)
    event_about(world, pod, "FailedMount", 'secret "trainingrun-s3" not found')
    expected = {
        "quota": "QuotaExceeded",
        "gpu": "PodUnschedulable",
        "image": "ImagePullFailed",
        "secret": "SecretMissing",
    }
    for name, reason in expected.items():
        await eventually(partial(shows, world, name, reason))
        assert reason in world.status(name)["progress"]["text"]
    assert (await world.finished("deadline"))["phase"] == "Failed"
    assert world.condition("Succeeded", "deadline")["reason"] == "StartDeadlineExceeded"


def progress_document(pod: Object, **fields: Any) -> dict[str, Any]:
    return {
        "contractVersion": 1,
        "stage": "prep",
        "podUID": pod["metadata"]["uid"],
        "phase": "checking",
        "updated": "2026-01-01T00:00:00Z",
        "done": 30,
        "total": 120,
        "unit": "images",
        "etaSeconds": 90,
        **fields,
    }


@asynccontextmanager
async def agent_on(port: int, document: dict[str, Any]) -> AsyncIterator[None]:
    """A fake agent that serves the current progress."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(document)

    app = web.Application()
    app.router.add_get("/progress", answer)
    agent = web.AppRunner(app, access_log=None)
    await agent.setup()
    await web.TCPSite(agent, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await agent.cleanup()


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_progress_is_pulled_from_the_agent(world: World, script: Script) -> None:
    document: dict[str, Any] = {}
    port = free_port()
    async with agent_on(port, document):
        await world.start_operator(agent_port=port)
        world.store.create("trainingruns", a_run().body())
        job = await world.job("tire-prep-1")
        document.update(progress_document(world.cluster.start(job)))
        await eventually(lambda: world.progress().get("done") == 30)
        progress = world.progress()
        assert progress["text"] == "Preparing 30/120 images (25%)"
        assert (progress["eta"], progress["source"]) == ("1m30s", "agent")
        document.update(podUID="another pod", done=60)
        world.cluster.end(job, verdict("prep"))
        await world.job("tire-train-1")


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_progress_falls_back_to_the_log_until_the_agent_answers_again(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.engine.progress_puller.FALLBACK_AFTER_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.status_writer.STATUS_SECONDS", 0.1)
    port = free_port()
    await world.start_operator(agent_port=port)
    world.store.create("trainingruns", a_run().body())
    pod = world.cluster.start(await world.job("tire-prep-1"))
    lines = ["INFO started", f"INFO progress {json.dumps(progress_document(pod))}", "INFO more"]
    world.server.logs[pod["metadata"]["name"]] = "\n".join(lines)
    await eventually(lambda: world.progress().get("source") == "log")
    assert world.progress()["done"] == 30
    async with agent_on(port, progress_document(pod, done=60)):
        await eventually(lambda: world.progress().get("source") == "agent")
        assert world.progress()["done"] == 60
