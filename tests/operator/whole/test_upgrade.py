"""Runs of the version before, which kept no digests and no UIDs of Jobs, are continued by this one.

objects_before_digests.jsonl is what that version wrote on a real API server, with the server's defaults.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from trainingrun.builders.resolved import text_digest
from trfakes.fake_cluster import verdict
from trfakes.harness import World, eventually
from trfakes.store import Object

pytestmark = pytest.mark.contract
LINES = Path(__file__).with_name("objects_before_digests.jsonl").read_text().splitlines()
PLURALS = {
    "TrainingRun": "trainingruns",
    "ConfigMap": "configmaps",
    "Job": "jobs",
    "Pod": "pods",
    "Deployment": "deployments",
    "Service": "services",
}
REGISTRY = "registry.example.com/trainingrun"
NEW = {f"{name}_image": f"{REGISTRY}/{name}:0.2.0" for name in ("agent", "trainer", "tensorboard")}
IN_FLIGHT = {"preparing": "preparing-prep-1", "training": "training-train-1", "exporting": "exporting-export-1"}


def old_objects() -> list[Object]:
    """The objects, owners first."""
    return [json.loads(line) for line in LINES]


def put(world: World, objects: list[Object]) -> None:
    world.cluster.script = None  # what these Jobs do has begun
    for body in objects:
        world.store.create(PLURALS[body["kind"]], body)
    world.cluster.script = lambda job: verdict(job["metadata"]["labels"]["trainingrun.dev/stage"])


def document(world: World, run: str) -> Object:
    name = f"{run}-resolved-{world.run(run)['metadata']['uid'][:8]}"
    return world.store.get("configmaps", name)


def has_digest(world: World, run: str) -> bool:
    return "resolvedDigest" in world.status(run)


def jobs_created(world: World) -> list[str]:
    return [change.body["metadata"]["name"] for change in world.store.history if is_new_job(change)]


def is_new_job(change: Any) -> bool:
    return change.plural == "jobs" and change.kind == "ADDED" and change.body["metadata"]["name"] not in OLD_JOBS


OLD_JOBS = {body["metadata"]["name"] for body in old_objects() if body["kind"] == "Job"}


def images_of(world: World, job: str) -> set[str]:
    (found,) = (c.body for c in world.store.history if is_new_job(c) and c.body["metadata"]["name"] == job)
    return {container["image"] for container in found["spec"]["template"]["spec"]["containers"]}


async def test_runs_of_the_version_before_are_continued_with_their_documents_and_jobs(world: World) -> None:
    put(world, old_objects())
    texts = {name: document(world, name)["data"]["resolved.json"] for name in (*IN_FLIGHT, "suspended", "failed")}
    finished = world.run("succeeded")
    await world.start_operator(**NEW)
    for name, job in IN_FLIGHT.items():
        await eventually(partial(has_digest, world, name), seen=partial(world.status, name))
        old = world.store.get("jobs", job)
        entry = world.status(name)["attempts"][-1]
        assert (entry["number"], entry["jobUID"]) == (1, old["metadata"]["uid"])
        world.cluster.end(old, verdict(job.split("-")[1]))
    world.store.patch("trainingruns", "suspended", {"spec": {"suspend": False}})
    world.store.patch("trainingruns", "failed", {"spec": {"retry": 1}})
    for name, text in texts.items():
        assert (await world.finished(name))["phase"] == "Succeeded", world.status(name)
        assert world.status(name)["resolvedDigest"] == text_digest(text)
        assert document(world, name)["data"]["resolved.json"] == text
    assert sorted(jobs_created(world)) == [
        *("failed-export-1", "failed-prep-2", "failed-train-1"),
        *("preparing-export-1", "preparing-train-1"),
        *("suspended-export-1", "suspended-train-2"),
        "training-export-1",
    ]
    assert images_of(world, "preparing-train-1") == {f"{REGISTRY}/agent:0.1.0", f"{REGISTRY}/trainer:0.1.0"}
    assert world.run("succeeded")["status"] == finished["status"]


async def test_a_restart_after_the_upgrade_writes_nothing(world: World) -> None:
    put(world, [body for body in old_objects() if body["metadata"]["name"].startswith(("training", "succeeded"))])
    await world.start_operator(**NEW)
    await eventually(lambda: has_digest(world, "training"))
    await world.operators[0].stop()
    before = len(world.server.writes())
    running = await world.replace_operator(**NEW)
    await eventually(lambda: len(running.operator.cache.runs) == 2 and not len(running.operator.queue))
    await asyncio.sleep(0.2)
    assert world.server.writes()[before:] == []
