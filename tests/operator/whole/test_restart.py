"""The operator dies between any two writes; the next one ends the run the same way."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.fake_cluster import AT, Script, verdict
from trfakes.harness import World, eventually
from trfakes.store import Object

pytestmark = pytest.mark.contract
WRITES_OF_A_RUN = 26  # an upper bound; numbers beyond the last write test a run without a restart


def outcome(world: World) -> dict[str, object]:
    status = world.status()
    return {
        "phase": status["phase"],
        "attempts": [(a["stage"], a["number"], a["ended"], a["lastOutcome"]) for a in status["attempts"]],
        "conditions": {c["type"]: c["status"] for c in status["conditions"]},
        "jobs": len(world.server.created("jobs")),
        "left": sorted(
            (p, UID_TAIL.sub("", n)) for p, ns, n in world.store.objects if ns == "default" and p != "events"
        ),
    }


UID_TAIL = re.compile(r"(?<=-resolved)-[0-9a-f]{8}$")
EXPECTED = {
    "phase": "Succeeded",
    "attempts": [(stage, 1, 1, "succeeded") for stage in ("prep", "train", "export")],
    "conditions": dict.fromkeys(
        ["Accepted", "StorageReady", "Prepared", "Trained", "Exported", "Succeeded", "Finished"], "True"
    ),
    "jobs": 3,
    "left": [
        ("configmaps", "tire-resolved"),
        ("deployments", "tire-tensorboard"),
        ("services", "tire-tensorboard"),
        ("trainingruns", "tire"),
    ],
}


@pytest.mark.parametrize("writes", range(1, WRITES_OF_A_RUN))
async def test_a_death_after_any_write_changes_nothing(world: World, writes: int) -> None:
    world.server.die_after_writes = writes
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())

    def quiet() -> bool:
        return world.server.dead or world.condition("Finished").get("status") == "True"

    await eventually(quiet)
    await world.replace_operator()
    await world.finished()
    await eventually(lambda: not list(world.store.select("jobs")), what="finished Jobs are deleted")
    assert outcome(world) == EXPECTED


async def test_a_restart_with_finished_runs_writes_nothing(world: World) -> None:
    await world.start_operator()
    for number in range(20):
        world.store.create("trainingruns", a_run(f"run-{number}").body())
    for number in range(20):
        await world.finished(f"run-{number}")
    await eventually(lambda: not list(world.store.select("jobs")))
    template = world.run("run-0")
    for number in range(20, 200):
        copy = a_run(f"run-{number}").body()
        copy["status"] = json.loads(json.dumps(template["status"]).replace("run-0", f"run-{number}"))
        world.store.create("trainingruns", copy)
    await world.operators[0].stop()
    before = len(world.server.writes())
    running = await world.replace_operator()
    await eventually(lambda: len(running.operator.cache.runs) == 200)
    await eventually(lambda: len(running.operator.queue) == 0)
    await asyncio.sleep(0.3)
    assert world.server.writes()[before:] == []


async def test_finished_runs_are_not_looked_at_again(world: World) -> None:
    """There are thousands of them: neither a restart nor a listing asks for anything of theirs."""
    await world.start_operator()
    for number in range(5):
        world.store.create("trainingruns", a_run(f"run-{number}").spec(tensorboard={"enabled": False}).body())
    for number in range(5):
        await world.finished(f"run-{number}")
    await eventually(lambda: not list(world.store.select("jobs")), what="finished Jobs are deleted")
    before = len(world.server.requests)
    running = await world.replace_operator()
    await asyncio.sleep(1)
    operator = running.operator
    assert operator._reconciler is not None
    assert len(operator._reconciler._memories) == 0
    assert not [r for r in world.server.requests[before:] if "/configmaps" in str(r) or "/trainingruns/" in str(r)]
    world.store.patch("trainingruns", "run-3", {"spec": {"retry": 1}})
    await eventually(lambda: world.status("run-3").get("retry") == 1, what="one that is changed is looked at")


async def test_runs_that_ended_while_no_operator_was_there_are_caught_up(world: World) -> None:
    world.cluster.script = None
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    await world.operators[0].stop()
    world.cluster.end(job, verdict("prep"))
    await world.replace_operator()
    await world.job("tire-train-1")
    await eventually(lambda: world.condition("Prepared")["status"] == "True")


def drain(world: World, job: Object) -> None:
    """Evict the pod as `kubectl drain` does: the agent ends with its verdict, the Job controller counts the pod."""
    pod = world.cluster.pod_of(job)["metadata"]["name"]
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    world.store.update_status("pods", pod, conditions=[{**target, "message": "Eviction API: evicting"}])
    world.store.delete("pods", pod)  # sets its deletionTimestamp
    world.cluster.end(job, verdict("prep", "interrupted", message="SIGTERM arrived."))
    counted = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    counted |= {"message": "Job has reached the specified backoff limit", "lastTransitionTime": AT}
    world.store.update_status("jobs", job["metadata"]["name"], failed=1, conditions=[counted])
    world.store.delete("pods", pod)


@pytest.mark.parametrize("script", [lambda _job: None])
@pytest.mark.parametrize(
    ("watched", "reason", "message"),
    [
        (True, "EvictionByEvictionAPI", r"Pod \S+ was disrupted: Eviction API: evicting\. SIGTERM arrived\."),
        (False, "PodGone", r"The pod of Job tire-prep-1 was removed before .*: its node was drained or removed, .*"),
    ],
    ids=["operator watches", "operator is drained too"],
)
async def test_a_drained_pod_is_told_as_one(
    world: World, script: Script, watched: bool, reason: str, message: str
) -> None:
    await world.start_operator()
    world.store.graceful_pods = True
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    if not watched:
        await world.operators[0].stop()
    drain(world, job)
    if not watched:
        await world.replace_operator()
    await eventually(lambda: world.attempts("prep").get("lastReason") == reason, seen=lambda: world.attempts("prep"))
    assert re.fullmatch(message, world.attempts("prep")["lastMessage"])
    await world.job("tire-prep-2")


async def pod_that_outlives_its_job_and_operator(world: World) -> str:
    await world.start_operator()
    world.store.graceful_pods = True
    world.store.create("trainingruns", a_run().body())
    pod: str = world.cluster.start(await world.job("tire-prep-1"))["metadata"]["name"]
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    await world.operators[0].stop()
    world.store.delete("jobs", "tire-prep-1")
    return pod


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_pod_of_a_job_deleted_before_the_restart_holds_back_the_next_attempt(
    world: World, script: Script
) -> None:
    pod = await pod_that_outlives_its_job_and_operator(world)
    await world.replace_operator()
    await eventually(lambda: world.condition("Prepared")["message"] == "The attempt is ending.")
    assert world.store.find("jobs", "tire-prep-2") is None
    world.store.delete("pods", pod)
    await world.job("tire-prep-2")


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_pod_deleted_before_the_watches_began_is_not_waited_for(world: World, script: Script) -> None:
    pod = await pod_that_outlives_its_job_and_operator(world)
    late_watch = Fault("GET", "/pods$", 503, skip=1, times=2)  # skips the operator's own listing
    world.server.faults.append(late_watch)
    await world.replace_operator()
    await eventually(lambda: world.condition("Prepared")["message"] == "The attempt is ending.")
    world.store.delete("pods", pod)
    assert late_watch.times, "the watch had begun"
    await world.job("tire-prep-2")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PATCH", "/status$", 409, times=3),
        Fault("PATCH", "/status$", 500, after=True, skip=1),
        Fault("PATCH", "/status$", 0, after=True, skip=2),
        Fault("POST", "/jobs$", 500),
        Fault("POST", "/jobs$", 0, after=True, skip=1),
        Fault("POST", "/jobs$", 429, headers=(("Retry-After", "1"),)),
        Fault("POST", "/configmaps$", 0, after=True),
        Fault("POST", "/configmaps$", 403),
        Fault("POST", "/deployments$", 403),
        Fault("DELETE", "/jobs/", 500),
        Fault("GET", "/configmaps/", 503),
        Fault("POST", "/events$", 500, times=5),
    ],
    ids=lambda fault: f"{fault.method}{fault.path}-{fault.status}{'-after' if fault.after else ''}",
)
async def test_a_fault_of_the_api_server_delays_and_changes_nothing(
    world: World, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.domain.tensorboard.FIRST_ABSENCE_SECONDS", 1)
    world.server.faults.append(fault)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    await eventually(lambda: outcome(world)["left"] == EXPECTED["left"], seen=lambda: outcome(world)["left"])
    found = outcome(world)
    attempted = len(world.server.created("jobs"))
    assert {**found, "jobs": 3} == EXPECTED
    assert attempted <= 3


@pytest.mark.parametrize("patch", range(1, 5))
async def test_a_status_that_is_not_stored_loses_no_result_of_a_stage(world: World, patch: int) -> None:
    """The spec changes while the operator decides: the status that tells of the end of a stage is refused."""
    world.server.faults.append(Fault("PATCH", "/status$", 409, skip=patch))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    await eventually(lambda: not list(world.store.select("jobs")))
    assert outcome(world) == EXPECTED


async def test_a_watch_that_was_compacted_misses_nothing(world: World) -> None:
    world.cluster.script = None
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    world.store.create("trainingruns", a_run("other").spec(suspend=True).body())
    world.store.compact()
    world.server.end_watches()
    world.store.compact()
    await eventually(lambda: "default/other" in running.operator.cache.runs)
    await eventually(lambda: world.status("other").get("phase") == "Suspended")


async def test_a_restart_does_not_repeat_the_warning_of_a_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next operator posts it again, under the same name: the API server has it already."""
    monkeypatch.setattr("trainingrun.domain.lasting.LASTS_SECONDS", 0)
    world.cluster.script = None
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: full."}
    world.cluster.make_pod(await world.job("tire-prep-1"), conditions=[unscheduled])

    def warnings() -> list[str]:
        return [event["reason"] for event in world.store.select("events") if event["type"] == "Warning"]

    await eventually(warnings)
    posts = len(world.server.writes("/events$"))
    await world.replace_operator()
    await eventually(lambda: [r.status for r in world.server.writes("/events$")[posts:]] == [409])
    assert warnings() == ["PodUnschedulable"]
