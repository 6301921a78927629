"""Deletions: answers that arrive after one, deletions that no watch shows, Jobs that do not stay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.fake_cluster import Script
from trfakes.harness import Running, World, eventually
from trfakes.store import Change

pytestmark = [pytest.mark.contract, pytest.mark.parametrize("script", [lambda _job: None])]
STORM = 20  # Jobs of one run within a test; a working operator creates one or two


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits after failures, and no listing that would find what an event has to show."""
    monkeypatch.setattr("trainingrun.engine.workqueue.BASE_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.place.FIRST_RESYNCS_SECONDS", ())


def jobs(world: World) -> int:
    return len(world.server.created("jobs"))


def idle(running: Running) -> bool:
    queue = running.operator.queue
    return not queue._queued and not queue._active


async def settled(world: World, running: Running) -> None:
    """Wait until the run is forgotten and nothing is at work, or until there are Jobs without end."""
    await eventually(lambda: (not running.operator.cache.runs and idle(running)) or jobs(world) > STORM, within=10)


async def test_a_run_deleted_in_a_watch_gap_makes_no_jobs_without_end(world: World, script: Script) -> None:
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.job("tire-prep-1")
    await eventually(lambda: world.attempts("prep"))
    del world.store.objects["trainingruns", "default", "tire"]  # no watch shows it
    world.store.delete("jobs", "tire-prep-1")
    await settled(world, running)
    assert jobs(world) <= 2


async def test_a_status_that_is_answered_after_the_deletion_revives_nothing(world: World, script: Script) -> None:
    late = asyncio.Event()
    world.server.faults.append(Fault("PATCH", "/status$", late=late))
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: world.attempts("prep"))
    world.store.delete("trainingruns", "tire")
    await eventually(lambda: not running.operator.cache.runs, what="the deletion is known")
    late.set()
    await settled(world, running)
    assert jobs(world) == 1
    assert not running.operator.cache.runs


async def test_a_job_that_is_answered_after_its_deletion_is_not_waited_for(world: World, script: Script) -> None:
    late = asyncio.Event()
    world.server.faults.append(Fault("POST", "/jobs$", late=late))
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    await eventually(lambda: running.operator.cache.jobs)
    world.store.delete("jobs", "tire-prep-1")
    await eventually(lambda: not running.operator.cache.jobs)
    late.set()
    await eventually(lambda: world.attempts("prep").get("lastReason") == "JobGone", within=10)
    assert job["metadata"]["uid"] not in running.operator.cache.jobs["default/tire"]


async def test_nothing_is_created_for_a_run_that_is_deleted_meanwhile(world: World, script: Script) -> None:
    late = asyncio.Event()
    world.server.faults.append(Fault("POST", "/configmaps$", late=late))
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: list(world.store.select("configmaps")))
    world.store.delete("trainingruns", "tire")
    await eventually(lambda: not running.operator.cache.runs)
    late.set()
    await settled(world, running)
    assert jobs(world) == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PATCH", "/status$", 403),
        Fault("PATCH", "/status$", 404),
        Fault("PATCH", "/status$", 409),
        Fault("PATCH", "/status$", 422),
        Fault("PATCH", "/status$", 500),
        Fault("PATCH", "/status$", 0),
        Fault("PATCH", "/status$", 404, answer={"message": 'admission webhook "x" denied the request: no'}),
    ],
    ids=lambda fault: f"{fault.status}{'-webhook' if fault.answer else ''}",
)
async def test_no_job_is_created_while_the_status_cannot_be_written(world: World, script: Script, fault: Fault) -> None:
    """Jobs that something else deletes at once would otherwise be created without end, and without a count."""

    def delete_at_once(change: Change) -> None:
        if change.plural == "jobs" and change.kind == "ADDED":
            world.store.delete("jobs", change.body["metadata"]["name"])

    fault.times = 1_000_000
    world.server.faults.append(fault)
    world.store.listeners.append(delete_at_once)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: len(world.server.writes("/status$")) > 4 or jobs(world) > 1)
    assert jobs(world) == 1
    world.store.listeners.remove(delete_at_once)
    world.server.faults.clear()
    await eventually(lambda: world.attempts("prep").get("number") == 2, within=10)
    assert world.attempts("prep")["failures"] == {"interrupted": 1}


async def test_nothing_is_left_of_runs_that_are_gone(world: World, script: Script) -> None:
    running = await world.start_operator()
    operator: Any = running.operator
    for number in range(5):
        world.store.create("trainingruns", a_run(f"run-{number}").body())
        job = await world.job(f"run-{number}-prep-1")
        world.cluster.start(job)
        await eventually(lambda n=number: world.condition("Prepared", f"run-{n}").get("reason") == "Running")
    for number in range(5):
        world.store.delete("trainingruns", f"run-{number}")
    await eventually(lambda: not operator.cache.runs and not operator.cache.jobs and idle(running))
    cache, queue = operator.cache, operator.queue
    left = [cache.pods, cache.progress, cache.hints, operator._puller._tasks]
    left += [queue._timers, queue._failures, queue._held_until, queue._dirty]
    assert left == [{}] * 7 + [set()]
    assert len(operator._health._parts[2]._memories) == 0


async def test_what_was_deleted_in_a_gap_of_a_watch_is_found_when_it_lists_again(world: World, script: Script) -> None:
    """After 410 a watch shows what exists; it says nothing of what is gone."""
    running = await world.start_operator()
    for name in ("tire", "other"):
        world.store.create("trainingruns", a_run(name).body())
        await world.job(f"{name}-prep-1")
        await eventually(lambda name=name: world.attempts("prep", name))
    world.server.end_watches()
    del world.store.objects["jobs", "default", "tire-prep-1"]
    world.store.compact()
    await eventually(lambda: "default/tire" not in running.operator.cache.jobs or world.attempts("prep")["number"] > 1)


async def test_a_job_that_is_gone_without_a_watch_showing_it_is_not_waited_for(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted in a gap of a watch that then listed nothing at all, before it had a pod."""
    monkeypatch.setattr("trainingrun.engine.place.Place._wait", lambda *_: asyncio.sleep(60))  # no listing finds it
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.job("tire-prep-1")
    await eventually(lambda: world.attempts("prep").get("number") == 1)
    del world.store.objects["jobs", "default", "tire-prep-1"]  # no watch shows it
    await eventually(lambda: world.attempts("prep").get("lastReason") == "JobGone", within=15, seen=world.status)


async def test_a_run_that_only_a_listing_shows_as_deleted_is_forgotten(world: World, script: Script) -> None:
    running = await world.start_operator()
    operator: Any = running.operator
    for name in ("tire", "other"):
        world.store.create("trainingruns", a_run(name).body())
        await eventually(lambda name=name: world.attempts("prep", name))
    world.server.end_watches()
    del world.store.objects["trainingruns", "default", "tire"]
    del world.store.objects["jobs", "default", "tire-prep-1"]
    world.store.compact()
    await eventually(lambda: operator.cache.runs.keys() == {"default/other"} and idle(running), within=10)
    assert operator._reconciler._memories._by_key.keys() == {"default/other"}


async def test_a_pod_whose_log_is_gone_is_gone(world: World, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was deleted in a gap of a watch that then listed nothing at all, as nothing else was there."""
    monkeypatch.setattr("trainingrun.engine.progress_puller.FALLBACK_AFTER_SECONDS", 0.1)
    monkeypatch.setattr("trainingrun.engine.progress_puller.PULL_SECONDS", 0.1)
    await world.start_operator(agent_port=1)
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    pod = world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    del world.store.objects["pods", "default", pod["metadata"]["name"]]
    world.store.delete("jobs", "tire-prep-1")
    await eventually(lambda: world.attempts("prep").get("lastReason") == "JobGone", seen=world.status)
