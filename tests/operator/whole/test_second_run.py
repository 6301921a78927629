"""Runs of an engineer in control, with the whole operator and played agents that do what they are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS, Script, verdict
from trfakes.harness import World, eventually
from trfakes.second_runs import BEST, MISSED, SAVED, WHY
from trfakes.store import Object

FINISHED = {**NUMBERS["train"], "step": 80, "checkpointStep": 80, "best": BEST, "stoppedBy": "finish"}
GATE = {"gate": {"minAP50": 0.95}}
WRITES_OF_A_FINISH = 9  # from the deletion of the Job to the export; the writes of a whole run: test_restart.py


def changes_of(job: Object) -> dict[str, Any]:
    """What the agent of a Job is told to do otherwise."""
    agent = job["spec"]["template"]["spec"]["containers"][0]
    values = {variable["name"]: variable.get("value") for variable in agent["env"]}
    return dict(json.loads(values.get("TRAININGRUN_CHANGES") or "{}"))


def play(job: Object) -> dict[str, Any] | None:
    """Agents that know what they are told: the first attempt of training goes on until it is ended."""
    stage = job["metadata"]["labels"]["trainingrun.dev/stage"]
    told = changes_of(job)
    if stage == "train":
        return verdict("train", numbers=FINISHED) if told.get("finish") else None
    if stage == "export":
        return verdict("export", numbers={**NUMBERS["export"], "checkpointReason": WHY, "gate": MISSED})
    return verdict(stage)


pytestmark = [pytest.mark.contract, pytest.mark.parametrize("script", [play])]


async def training(world: World, **spec: Any) -> Object:
    """Start a run and its training; returns the Job of the first attempt."""
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(**spec).body())
    job = await world.job("tire-train-1")
    world.cluster.start(job)
    await eventually(lambda: world.condition("Trained").get("reason") == "Running")
    return job


def end_for_good(world: World, job: Object) -> None:
    """End a pod that is told to end, which then goes."""
    name = f"{job['metadata']['name']}-x1"
    if world.store.find("pods", name) is not None:
        world.cluster.end(job, verdict("train", "interrupted", numbers=SAVED))
        world.store.delete("pods", name)


def events(world: World, reason: str) -> list[str]:
    return [event["message"] for event in world.store.select("events") if event["reason"] == reason]


async def test_a_run_is_finished_by_hand_and_its_gate_is_missed(world: World, script: Script) -> None:
    world.store.graceful_pods = True
    job = await training(world, export=GATE)
    world.store.patch("trainingruns", "tire", {"spec": {"finish": True}})
    await eventually(lambda: world.store.find("jobs", "tire-train-1") is None, what="the Job is deleted")
    assert world.condition("Trained")["reason"] == "Finishing"
    end_for_good(world, job)
    status = await world.finished()
    assert status["training"]["stoppedBy"] == "finish"
    assert (world.condition("Succeeded")["status"], world.condition("Succeeded")["reason"]) == ("True", "FinishedEarly")
    assert (world.condition("Qualified")["status"], world.condition("Qualified")["reason"]) == ("False", "GateMissed")
    assert len(world.server.created("jobs")) == 4
    await eventually(lambda: len(events(world, "GateMissed")) == 1)
    await eventually(lambda: events(world, "Succeeded") == [world.condition("Succeeded")["message"]])
    assert len(events(world, "Finishing")) == 1
    assert len(events(world, "FinishedEarly")) == 1


@pytest.mark.parametrize("writes", range(1, WRITES_OF_A_FINISH))
async def test_a_death_after_any_write_makes_no_second_attempt(world: World, script: Script, writes: int) -> None:
    job = await training(world)
    world.server.die_after_writes = len(world.server.writes()) + writes
    world.store.patch("trainingruns", "tire", {"spec": {"finish": True}})

    def quiet() -> bool:
        if world.store.find("jobs", "tire-train-1") is None:
            end_for_good(world, job)
        return world.server.dead or world.condition("Finished").get("status") == "True"

    await eventually(quiet)
    await world.replace_operator()
    await eventually(lambda: quiet() and world.condition("Finished").get("status") == "True")
    assert world.condition("Succeeded")["reason"] == "FinishedEarly"
    assert len(world.server.created("jobs")) == 4
    assert (world.attempts("train")["number"], "failures" in world.attempts("train")) == (2, False)


async def test_failures_change_the_attempts_that_follow(world: World, script: Script) -> None:
    options = {"onDivergence": "Rollback", "onOutOfMemory": "HalveBatch", "batchSize": 8, "learningRate": "0.01"}
    job = await training(world, train=options)
    world.cluster.end(job, verdict("train", "diverged", numbers=SAVED))
    job = await world.job("tire-train-2")
    assert changes_of(job) == {"learningRateFactor": 0.5}
    world.cluster.start(job)
    world.cluster.end(job, verdict("train", "outOfMemory", reason="DeviceOutOfMemory", numbers=SAVED))
    job = await world.job("tire-train-3")
    assert changes_of(job) == {"batchSize": 4, "learningRateFactor": 0.5}
    world.cluster.start(job)
    world.cluster.end(job, verdict("train", "diverged", numbers=SAVED))
    status = await world.finished()
    assert status["phase"] == "Failed"
    assert (status["training"]["batchSize"], status["training"]["learningRate"]) == (4, "0.005")


async def test_retries_and_the_deadline_end_a_run(world: World, script: Script) -> None:
    job = await training(world, train={"retries": {"stalled": 0}})
    world.cluster.end(job, verdict("train", "stalled"))
    await world.finished()
    assert world.condition("Succeeded")["reason"] == "Stalled"
    world.store.create("trainingruns", a_run("late").spec(activeDeadlineSeconds=3600).body())
    world.cluster.start(await world.job("late-train-1"))
    world.store.patch("trainingruns", "late", {"spec": {"activeDeadlineSeconds": 1}})
    await world.finished("late")
    assert world.condition("Succeeded", "late")["reason"] == "ActiveDeadlineExceeded"
    await eventually(lambda: world.store.find("jobs", "late-train-1") is None, what="the Job is deleted")
