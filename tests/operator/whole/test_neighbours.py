"""The operator copes with foreign and broken objects, other operators, refused requests, pods that do not start."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.fake_cluster import Script, verdict
from trfakes.harness import World, agent_on, eventually, free_port
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


async def test_an_operator_started_before_its_api_server_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.engine.operator.START_RETRY_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.place.LIST_AGAIN_SECONDS", 0.1)
    world.server.faults.append(Fault("GET", "/apis/trainingrun.dev/v1alpha1$", 404, times=3))
    world.server.faults.append(Fault("GET", "/apis/trainingrun.dev/v1alpha1/trainingruns$", 503, skip=1))
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


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_progress_is_pulled_from_the_agent(world: World, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.status_writer.STATUS_SECONDS", 0.1)
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
async def test_progress_does_not_fall_to_starting_when_the_operator_restarts(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.status_writer.STATUS_SECONDS", 0.1)
    port, document, seen = free_port(), {}, []  # type: ignore[var-annotated]
    async with agent_on(port, document):
        await world.start_operator(agent_port=port)
        world.store.create("trainingruns", a_run().body())
        pod = world.cluster.start(await world.job("tire-prep-1"))
        document.update(progress_document(pod))
        await eventually(lambda: world.progress().get("done") == 30)
        document.update(done=60)
        world.store.listeners.append(lambda change: seen.append(change.body.get("status", {}).get("message")))
        await world.replace_operator(agent_port=port)
        await eventually(lambda: world.progress().get("done") == 60)
    assert set(seen) - {None, "Preparing 30/120 images (25%)"} == {"Preparing 60/120 images (50%)"}


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_the_cause_of_a_wait_does_not_fall_back_when_the_operator_restarts(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning was read only after the status without it was written, and then there was a second Event."""
    monkeypatch.setattr("trainingrun.domain.waiting.CREATING_SECONDS", 0)
    monkeypatch.setattr("trainingrun.domain.lasting.LASTS_SECONDS", 1)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    placed = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": world.store.now_text()}]
    pod = world.cluster.make_pod(await world.job("tire-prep-1"), conditions=placed)
    event_about(world, pod, "FailedMount", 'secret "trainingrun-s3" not found')
    await eventually(partial(shows, world, "tire", "SecretMissing"))
    await eventually(lambda: reported(world, "SecretMissing") == 1)
    before, reads = world.status(), len(world.server.requests)
    running = await world.replace_operator()
    await eventually(lambda: any(r.path.endswith("/events") for r in world.server.requests[reads:]))
    await eventually(lambda: not running.operator.queue._queued and not running.operator.queue._active)
    assert (world.status(), reported(world, "SecretMissing")) == (before, 1)


def reported(world: World, reason: str) -> int:
    return [event["reason"] for event in world.store.select("events")].count(reason)


async def preparing(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Object, int]:
    """Start a run whose operator soon reads the log instead; returns its pod, and the port on which it asks agents."""
    monkeypatch.setattr("trainingrun.engine.progress_puller.FALLBACK_AFTER_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.status_writer.STATUS_SECONDS", 0.1)
    port = free_port()
    await world.start_operator(agent_port=port)
    world.store.create("trainingruns", a_run().body())
    return world.cluster.start(await world.job("tire-prep-1")), port


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_progress_falls_back_to_the_log_until_the_agent_answers_again(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod, port = await preparing(world, monkeypatch)
    lines = ["INFO started", f"INFO progress {json.dumps(progress_document(pod))}", "INFO more"]
    world.server.answers.logs[pod["metadata"]["name"]] = "\n".join(lines)
    await eventually(lambda: world.progress().get("source") == "log")
    assert world.progress()["done"] == 30
    async with agent_on(port, progress_document(pod, done=60)):
        await eventually(lambda: world.progress().get("source") == "agent")
        assert world.progress()["done"] == 60


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_progress_does_not_go_back_to_an_older_line_of_the_log(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent writes a line every 30 s, and answered until a moment ago."""
    monkeypatch.setattr("trainingrun.engine.progress_puller.FALLBACK_SECONDS", 0.1)
    pod, port = await preparing(world, monkeypatch)
    name = pod["metadata"]["name"]
    async with agent_on(port, progress_document(pod, done=60, updated="2026-01-01T00:00:40Z")):
        await eventually(lambda: world.progress().get("done") == 60)
    line = progress_document(pod, done=30, updated="2026-01-01T00:00:30Z")
    world.server.answers.logs[name] = f"INFO progress {json.dumps(line)}"
    await eventually(lambda: world.progress().get("source") == "log")
    assert world.progress()["done"] == 60
    line |= {"done": 90, "updated": "2026-01-01T00:01:00Z"}
    world.server.answers.logs[name] = f"INFO progress {json.dumps(line)}"
    await eventually(lambda: world.progress().get("done") == 90)
