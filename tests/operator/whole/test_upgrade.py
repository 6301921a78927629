"""Runs that an earlier version left in every state go on under today's operator, and nothing is started twice."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from trainingrun.api.names import resolved_name
from trainingrun.api.settings import Policy
from trainingrun.builders.resolved import text_digest
from trfakes.fake_cluster import verdict
from trfakes.harness import World, eventually, free_port
from trfakes.recording import NAMESPACE, RECORDINGS, Recording

pytestmark = pytest.mark.contract
IN_FLIGHT = {"training": "training-train-1", "waiting": "waiting-train-1", "preparing": "preparing-prep-1"}


@pytest.fixture(params=RECORDINGS, ids=[recording.folder.name for recording in RECORDINGS])
async def upgraded(request: pytest.FixtureRequest, world: World) -> World:
    """A world with the recorded objects, whose operator has just started."""
    recording: Recording = request.param
    script, world.cluster.script = world.cluster.script, None  # recorded Jobs have their pods already
    for plural, bodies in recording.objects().items():
        for body in bodies:
            if plural == "pods":
                body["status"].pop("podIP", None)  # an address of the recording's network
            world.store.put(plural, body)
    world.cluster.script = script
    await world.start_operator(
        agent_port=free_port(),
        agent_image="trainingrun.dev/agent:new",
        trainer_image="trainingrun.dev/trainer:new",
        tensorboard_image="trainingrun.dev/tensorboard:new",
        policy=Policy(images=("trainingrun.dev/*",), endpoints=("http://s3.storage:7070",)),  # as it was recorded
    )
    return world


def run_of(world: World, name: str) -> dict[str, Any]:
    return world.store.get("trainingruns", name, namespace=NAMESPACE)


def change(world: World, name: str, **spec: Any) -> None:
    world.store.patch("trainingruns", name, {"spec": spec}, namespace=NAMESPACE)


async def success(world: World, name: str) -> None:
    """Wait until a run has succeeded."""

    def succeeded() -> bool:
        conditions = (run_of(world, name).get("status") or {}).get("conditions") or []
        return any(c["type"] == "Succeeded" and c["status"] == "True" for c in conditions)

    await eventually(succeeded, what=f"{name} succeeds", seen=lambda: run_of(world, name).get("status"))


def end(world: World, job: str, stage: str) -> None:
    world.cluster.end(world.store.get("jobs", job, namespace=NAMESPACE), verdict(stage))


def adopted(world: World, name: str, job: str) -> bool:
    """Whether the status holds what is believed from now on: the digest of the document and the UID of the Job."""
    run = run_of(world, name)
    document = resolved_name(name, uid=run["metadata"]["uid"])
    text = world.store.get("configmaps", document, namespace=NAMESPACE)["data"]["resolved.json"]
    uid = world.store.get("jobs", job, namespace=NAMESPACE)["metadata"]["uid"]
    entries = run["status"]["attempts"]
    return run["status"].get("resolvedDigest") == text_digest(text) and any(e.get("jobUID") == uid for e in entries)


def attempts(world: World, name: str) -> dict[str, int]:
    return {entry["stage"]: entry["number"] for entry in run_of(world, name)["status"]["attempts"]}


async def test_every_run_of_the_version_before_reaches_its_end(upgraded: World) -> None:
    world = upgraded
    await success(world, "retrying")
    for name, job in IN_FLIGHT.items():
        assert attempts(world, name)[job.split("-")[1]] == 1, "an attempt in flight is not started again"
        await eventually(partial(adopted, world, name, job), what=f"the digest of {name} and the UID of {job}")
        end(world, job, job.split("-")[1])
    change(world, "suspended", suspend=False)
    change(world, "failed", retry=1)
    change(world, "no-data", retry=1)
    leader = {**run_of(world, "succeeded"), "metadata": {"name": "leader"}, "status": {}}
    world.store.create("trainingruns", leader, namespace=NAMESPACE)
    names = [*IN_FLIGHT, "suspended", "failed", "no-data", "retrying", "succeeded", "follower"]
    for name in names:
        await success(world, name)
    assert {name: attempts(world, name) for name in names} == {
        "training": {"prep": 1, "train": 1, "export": 1},
        "waiting": {"prep": 1, "train": 1, "export": 1},
        "preparing": {"prep": 1, "train": 1, "export": 1},
        "suspended": {"prep": 1, "train": 2, "export": 1},
        "failed": {"prep": 1, "train": 5, "export": 1},
        "no-data": {"prep": 2, "train": 1, "export": 1},
        "retrying": {"prep": 1, "train": 4, "export": 1},
        "succeeded": {"prep": 1, "train": 1, "export": 1},
        "follower": {"prep": 1, "train": 1, "export": 1},
    }


async def test_what_was_accepted_is_not_resolved_again(upgraded: World) -> None:
    """Images, data and steps of an accepted run are those of its first acceptance, also after an upgrade."""
    world = upgraded
    await success(world, "retrying")
    change(world, "suspended", suspend=False)
    await success(world, "suspended")
    assert world.server.created("configmaps") == []
    added = [c.body for c in world.store.history if c.plural == "jobs" and c.kind == "ADDED"]
    jobs = {body["metadata"]["name"]: body for body in added}
    for name in ("retrying-train-4", "suspended-train-2", "suspended-export-1"):
        images = {container["image"] for container in jobs[name]["spec"]["template"]["spec"]["containers"]}
        assert images, name
        assert not any(image.endswith(":new") for image in images), f"{name}: {images}"


async def test_a_run_that_had_ended_is_left_as_it_is(upgraded: World) -> None:
    world = upgraded
    before = run_of(world, "succeeded")["status"]
    await success(world, "retrying")
    after = run_of(world, "succeeded")["status"]
    for field in ("phase", "message", "export", "training", "dataset", "attempts", "finishedAt", "storageURI"):
        assert after.get(field) == before.get(field), field
