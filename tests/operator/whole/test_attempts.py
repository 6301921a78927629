"""Whole lives of attempts beside what a cluster adds to pods and does to Jobs, and between an act and its status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from trainingrun.domain import verdicts
from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.fake_cluster import AT, Script, verdict
from trfakes.harness import World, eventually
from trfakes.store import Change, Object

pytestmark = pytest.mark.contract
SUSPENSIONS = 50


def add_container(world: World, job: Object, says: Mapping[str, Any]) -> Object:
    """Run the pod of a Job with a container that the cluster added; ours end long ago, that one never does."""
    pod = world.cluster.start(job)
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": AT, "finishedAt": AT}
    states = [
        {"name": c["name"], "state": {"terminated": {**ended, "message": json.dumps(says)}}}
        for c in pod["spec"]["containers"]
    ]
    states.append({"name": "mesh", "state": {"running": {"startedAt": AT}}})
    return world.store.update_status("pods", pod["metadata"]["name"], containerStatuses=states)


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_run_succeeds_beside_a_container_that_never_ends(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    for stage in ("prep", "train", "export"):
        add_container(world, await world.job(f"tire-{stage}-1"), verdict(stage))
    assert (await world.finished())["phase"] == "Succeeded"
    await eventually(lambda: not list(world.store.select("jobs")), what="the Jobs, and their pods, are deleted")
    assert not list(world.store.select("pods"))


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_failed_run_frees_its_pod(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    add_container(world, await world.job("tire-prep-1"), verdict("prep", "userError"))
    assert (await world.finished())["phase"] == "Failed"
    await eventually(lambda: not list(world.store.select("pods")), what="its pod is deleted")


def start_pods(world: World) -> None:
    """Let each new Job have its pod at once."""

    def see(change: Change) -> None:
        if change.plural == "jobs" and change.kind == "ADDED":
            world.cluster.start(change.body)

    world.store.listeners.append(see)


def runs(world: World, number: int) -> bool:
    return world.attempts("prep").get("number") == number and world.condition("Prepared")["reason"] == "Running"


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_fast_suspensions_are_no_failures(world: World, script: Script) -> None:
    """The run is resumed at the moment its Job is deleted: a status after that deletion is refused."""

    def resume(change: Change) -> None:
        if change.plural == "jobs" and change.kind == "DELETED":
            world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})

    await world.start_operator()
    start_pods(world)
    world.store.listeners.append(resume)
    world.store.create("trainingruns", a_run().body())
    for number in range(1, SUSPENSIONS + 1):
        await eventually(partial(runs, world, number))
        world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.attempts("prep")["number"] == SUSPENSIONS + 1)
    entry = world.attempts("prep")
    assert (entry["ended"], entry.keys() & {"failures", "nextRetryAt", "lastReason"}) == (SUSPENSIONS, set())


async def interrupted_in_prep(world: World, times: int, *, each: int) -> None:
    """Let each attempt at the preparation be interrupted when it has saved `each` images more than the one before."""
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    for number in range(1, times + 1):
        numbers = {"images": 5000, "savedImages": 100 + each * number}
        job = await world.job(f"tire-prep-{number}")
        world.cluster.start(job)
        world.cluster.end(job, verdict("prep", "interrupted", numbers=numbers))
        await eventually(lambda number=number: world.attempts("prep").get("ended") == number)


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_preparation_that_advances_is_interrupted_without_end(world: World) -> None:
    await interrupted_in_prep(world, 8, each=100)
    await world.job("tire-prep-9")
    entry = world.attempts("prep")
    assert (entry["failures"], entry["savedImages"]) == ({"interrupted": 1}, 900)
    assert world.status()["dataset"] == {"images": 5000, "savedImages": 900}


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_preparation_that_does_not_advance_ends_after_its_interruptions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "BACK_OFF_SECONDS", (0,))
    await interrupted_in_prep(world, 6, each=0)
    assert (await world.finished())["phase"] == "Failed"
    assert world.attempts("prep")["number"] == 6


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_suspension_that_the_operator_dies_in_is_no_failure(world: World, script: Script) -> None:
    """It dies after the status, before the Job is deleted."""
    world.server.faults.append(Fault("DELETE", "/jobs/", 500))
    await world.start_operator()
    start_pods(world)
    world.store.create("trainingruns", a_run().body())
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.attempts("prep").get("ended") == 1)
    await world.operators[0].stop()
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    await world.replace_operator()
    await world.job("tire-prep-2")
    assert world.store.find("jobs", "tire-prep-1") is None
    await eventually(lambda: world.attempts("prep")["number"] == 2)
    assert "failures" not in world.attempts("prep")


def only_prep(job: Object) -> Mapping[str, Any] | None:
    return verdict("prep") if job["metadata"]["labels"]["trainingrun.dev/stage"] == "prep" else None


@pytest.mark.parametrize("script", [only_prep])
async def test_a_pod_evicted_for_its_scratch_is_a_full_disk_and_keeps_its_checkpoint(
    world: World, script: Script
) -> None:
    """Its agent got SIGTERM, so it says that it was interrupted; the kubelet knows why."""
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-train-1")
    pod = world.cluster.start(job)["metadata"]["name"]
    evicted = {"reason": "Evicted", "message": 'Usage of EmptyDir volume "shared" exceeds the limit "20Gi". '}
    world.store.update_status("pods", pod, **evicted)
    says = verdict("train", "interrupted", message="SIGTERM arrived at step 41.", numbers={"checkpointStep": 40})
    world.cluster.end(job, says)
    status = await world.finished()
    entry = world.attempts("train")
    assert (entry["number"], entry["lastOutcome"], entry["checkpointStep"]) == (1, "diskFull", 40)
    assert (
        'Usage of EmptyDir volume "shared" exceeds the limit "20Gi". SIGTERM arrived at step 41.' in status["message"]
    )
    assert "spec.train.scratch: 40Gi (now 20Gi)" in status["message"]


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_pod_that_no_watch_has_shown_yet_holds_back_the_next_attempt(world: World, script: Script) -> None:
    """The watch of pods is behind that of Jobs, which shows that the attempt's Job is gone."""
    world.store.graceful_pods = True
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.server.behind.add("pods")
    pod = world.cluster.start(job)
    world.store.delete("jobs", "tire-prep-1")
    await eventually(
        lambda: world.condition("Prepared").get("message") == "The attempt is ending.",
        what="the pod is known, and waited for",
        seen=world.status,
    )
    assert world.store.find("jobs", "tire-prep-2") is None
    world.cluster.end(job, verdict("prep", "interrupted"))
    world.store.graceful_pods = False
    world.store.delete("pods", pod["metadata"]["name"])
    world.server.catch_up()
    await world.job("tire-prep-2")
    await eventually(lambda: world.attempts("prep").get("failures") == {"interrupted": 1}, what="it counts once")


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_job_suspended_by_something_else_goes_on_when_that_resumes_it(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    world.store.patch("jobs", "tire-prep-1", {"spec": {"suspend": True}})
    world.store.delete("pods", "tire-prep-1-x1")
    await eventually(lambda: world.condition("Prepared")["reason"] == "JobSuspended")
    assert world.store.find("jobs", "tire-prep-2") is None
    world.store.patch("jobs", "tire-prep-1", {"spec": {"suspend": False}})
    world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared")["reason"] == "Running")
    world.cluster.end(job, verdict("prep"))
    await eventually(lambda: world.condition("Prepared")["status"] == "True")
    entry = world.attempts("prep")
    assert (entry["number"], entry["ended"], entry["lastOutcome"], "failures" in entry) == (1, 1, "succeeded", False)


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_job_that_its_suspender_deletes_is_waited_for(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.graceful_pods = True
    world.store.create("trainingruns", a_run().body())
    world.cluster.start(await world.job("tire-prep-1"))
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    world.store.patch("jobs", "tire-prep-1", {"spec": {"suspend": True}})
    world.store.delete("jobs", "tire-prep-1")
    await eventually(lambda: world.condition("Prepared").get("message") == "The attempt is ending.")
    assert world.store.find("jobs", "tire-prep-2") is None
    world.store.delete("pods", "tire-prep-1-x1")
    await world.job("tire-prep-2")


async def test_an_expired_run_is_deleted_after_its_end_is_stored_and_told(world: World) -> None:
    seen: list[tuple[str, str]] = []

    def see(change: Change) -> None:
        conditions = (change.body.get("status") or {}).get("conditions") or ()
        if change.plural == "events":
            seen.append(("Event", change.body["reason"]))
        elif change.plural == "trainingruns" and any(c["type"] == "Finished" for c in conditions):
            finished = next(c["status"] for c in conditions if c["type"] == "Finished")
            seen.append((change.kind, finished))

    world.store.listeners.append(see)
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(ttlSecondsAfterFinished=0).body())
    await eventually(lambda: world.store.find("trainingruns", "tire") is None, what="the run is deleted")
    end = seen.index(("MODIFIED", "True"))
    assert end < seen.index(("Event", "Succeeded")) < seen.index(("DELETED", "True"))


@pytest.mark.parametrize("script", [lambda job: verdict("prep", "userError") if "prep-1" in str(job) else None])
async def test_a_run_whose_retry_is_raised_as_it_expires_lives_on(world: World, script: Script) -> None:
    """The user is just ahead of the deletion, and no watch has shown it yet."""

    class Retry(Fault):
        def hits(self, method: str, path: str) -> bool:
            if super().hits(method, path):
                world.store.patch("trainingruns", "tire", {"spec": {"retry": 1}})
            return False  # nothing fails

    expiry = Retry("DELETE", "/trainingruns/tire$")
    world.server.faults.append(expiry)
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(ttlSecondsAfterFinished=0).body())
    await world.job("tire-prep-2")
    assert expiry.times == 0, "the operator began to delete it"


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_tensorboard_of_a_finished_run_makes_room_for_a_run_that_waits(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.domain.tensorboard.PATIENCE_SECONDS", 0)
    monkeypatch.setattr("trainingrun.domain.tensorboard.FIRST_ABSENCE_SECONDS", 1)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    for stage in ("prep", "train", "export"):
        job = await world.job(f"tire-{stage}-1")
        world.cluster.start(job)
        world.cluster.end(job, verdict(stage))
    await world.finished()
    await eventually(lambda: world.store.find("deployments", "tire-tensorboard"))
    world.store.create("trainingruns", a_run("next").body())
    job = await world.job("next-prep-1")
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod = world.cluster.make_pod(job, conditions=[{**condition, "message": "0/1 nodes: 1 Insufficient cpu."}])
    await eventually(lambda: not world.store.find("deployments", "tire-tensorboard"), what="TensorBoard makes room")
    await eventually(lambda: "makes room" in world.status()["tensorboard"].get("message", ""))
    world.store.delete("pods", pod["metadata"]["name"])
    world.cluster.start(job)
    await eventually(lambda: world.store.find("deployments", "tire-tensorboard"), what="TensorBoard comes back")


def suspend_when(world: World, plural: str) -> None:
    """Change the spec between the creation of an object and the status that tells of it, which is refused then."""

    def see(change: Change) -> None:
        if (change.plural, change.kind) == (plural, "ADDED"):
            world.store.listeners.remove(see)
            world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})

    world.store.listeners.append(see)


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_tensorboard_whose_status_was_lost_makes_room(world: World, script: Script) -> None:
    """Nobody knew of it: it took the room of the next attempt, and the run waited for itself without end."""
    suspend_when(world, "services")
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    prep = await world.job("tire-prep-1")
    world.cluster.start(prep)
    world.cluster.end(prep, verdict("prep"))
    world.cluster.start(await world.job("tire-train-1"))
    await eventually(lambda: world.status().get("phase") == "Suspended")
    assert world.store.find("deployments", "tire-tensorboard")
    waits = a_run("other").condition("Trained", "False", reason="QuotaExceeded").body()
    world.store.create("trainingruns", waits)
    world.store.patch("trainingruns", "tire", {"metadata": {"labels": {"changed": "yes"}}})
    await eventually(lambda: not world.store.find("deployments", "tire-tensorboard"), within=20)
