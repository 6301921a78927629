"""Suspension with a real cache and real watches: Jobs, pods and verdicts vanish while the operator decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trfakes.builders import a_run
from trfakes.fake_cluster import AT, Script, verdict
from trfakes.harness import World, eventually
from trfakes.store import Object

NUMBERS = {"step": 53, "steps": 250, "checkpointStep": 53}
SAVED = "Suspended at step 53 of 250, checkpoint 53 saved."
TRAIN = "tire-train-1"


def succeed_prep(job: Object) -> dict[str, Any] | None:
    return verdict("prep") if job["metadata"]["labels"]["trainingrun.dev/stage"] == "prep" else None


pytestmark = [pytest.mark.contract, pytest.mark.parametrize("script", [succeed_prep])]


async def training(world: World) -> None:
    """Start a run, and let its training run in a pod that takes its time to end."""
    await world.start_operator()
    world.store.graceful_pods = True
    world.store.create("trainingruns", a_run().body())
    job = await world.job(TRAIN)
    world.cluster.start(job)
    await eventually(lambda: world.condition("Trained").get("reason") == "Running")


def vanish(world: World) -> None:
    """End the pod with its verdict and remove it at once: the watch shows its end and its deletion as one."""
    pod = world.store.get("pods", f"{TRAIN}-x1")
    ended = {"exitCode": 0, "startedAt": AT, "finishedAt": AT}
    message = json.dumps(verdict("train", "interrupted", numbers=NUMBERS))
    names = [container["name"] for container in pod["spec"]["containers"]]
    pod["status"] |= {
        "phase": "Failed",
        "containerStatuses": [{"name": n, "state": {"terminated": {**ended, "message": message}}} for n in names],
    }
    world.store.delete("pods", f"{TRAIN}-x1")


def events(world: World, reason: str) -> list[str]:
    return [event["message"] for event in world.store.select("events") if event["reason"] == reason]


def watches_of_pods(world: World) -> int:
    return len([request for request in world.server.requests if "/pods?watch" in request.path])


async def test_the_verdict_of_a_pod_that_is_removed_at_once_is_not_lost(world: World, script: Script) -> None:
    await training(world)
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.store.find("jobs", TRAIN) is None, what="the Job is deleted")
    assert world.status()["message"] == "Suspending: attempt 1 of train saves a checkpoint and ends."
    vanish(world)
    await eventually(lambda: world.status()["phase"] == "Suspended")
    assert world.status()["message"].startswith(SAVED)
    await eventually(lambda: events(world, "Suspended") == [SAVED])
    running = world.operators[-1].operator
    await eventually(lambda: f"{TRAIN}-x1" not in str(running.cache.pods), what="the cache forgets the pod")
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    await world.job("tire-train-2")
    await eventually(lambda: events(world, "Resumed") == ["Training resumes from checkpoint 53 of 250 steps."])


async def test_an_operator_that_is_replaced_while_the_pod_ends_takes_its_verdict(world: World, script: Script) -> None:
    await training(world)
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.store.find("jobs", TRAIN) is None, what="the Job is deleted")
    before, watches = world.status(), watches_of_pods(world)
    running = await world.replace_operator()
    await eventually(lambda: watches_of_pods(world) > watches, what="the watch has begun")
    await eventually(lambda: not running.operator.queue._queued and not running.operator.queue._active)
    assert world.status() == before
    vanish(world)
    await eventually(lambda: world.status()["phase"] == "Suspended")
    assert world.status()["message"].startswith(SAVED)


async def test_a_verdict_that_no_operator_saw_is_not_guessed(world: World, script: Script) -> None:
    await training(world)
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.store.find("jobs", TRAIN) is None, what="the Job is deleted")
    await world.operators[-1].stop()
    vanish(world)
    await world.replace_operator()
    await eventually(lambda: world.status()["phase"] == "Suspended")
    assert "The attempt left no verdict; no checkpoint is known." in world.status()["message"]
    assert "failures" not in world.attempts("train")
