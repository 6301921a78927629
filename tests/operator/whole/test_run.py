"""A run from apply to Succeeded: all requests to the API server, and all objects that remain."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import aiohttp
import pytest

from trainingrun import __version__
from trainingrun.api.names import MANAGER
from trfakes.builders import a_run
from trfakes.fake_cluster import Script, verdict
from trfakes.harness import World, eventually
from trfakes.schema import crd_part, errors
from trfakes.store import Object

pytestmark = pytest.mark.contract


async def test_a_run_ends_succeeded_with_its_results(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    status = await world.finished()
    assert status["phase"] == "Succeeded"
    assert status["message"] == "Exported checkpoint 150 with AP@.5 0.912."
    await eventually(lambda: not list(world.store.select("jobs")), what="finished Jobs are deleted")
    assert [r.path.rpartition("/")[2] for r in world.server.created("jobs")] == ["jobs"] * 3
    assert sorted(body["metadata"]["name"] for body in world.store.select("services")) == ["tire-tensorboard"]
    [resolved] = [body["metadata"] for body in world.store.select("configmaps")]
    owner = resolved["ownerReferences"][0]["uid"]
    assert resolved["name"] == f"tire-resolved-{owner[:8]}"
    # `kubectl describe` shows Events of one second in the order of their names, as the store does.
    reasons = ["Prepared", "Succeeded"]
    await eventually(
        lambda: [e["reason"] for e in world.store.select("events")] == reasons, what="Events in their order"
    )


async def test_a_run_without_failures_costs_four_status_patches_and_three_events(world: World) -> None:
    """Besides those that show what a pod waits for and how far it is; each patch wakes every watcher."""
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    await eventually(lambda: "Succeeded" in {event["reason"] for event in world.store.select("events")})
    assert len(list(world.store.select("events"))) <= 3
    statuses = [c.body["status"] for c in world.store.history if c.plural == "trainingruns" and "status" in c.body]
    lasting = [without_progress(status) for status in statuses]
    patches = 1 + sum(old != new for old, new in pairwise(lasting))
    assert (patches, [len(entry["history"]) for entry in statuses[-1]["attempts"]]) == (4, [1, 1, 1])


def without_progress(status: Object) -> Object:
    """What of a status does not depend on when the operator looks."""
    kept = {key: value for key, value in status.items() if key not in {"progress", "message", "tensorboard"}}
    kept["conditions"] = [(c["type"], c["status"]) for c in status["conditions"] if c["type"] != "StorageReady"]
    kept["attempts"] = [{k: v for k, v in a.items() if k not in {"ranAt", "jobUID"}} for a in status["attempts"]]
    kept.pop("training", None)
    return kept


async def test_what_passes_is_not_written_and_each_job_is_deleted_once(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(tensorboard={"enabled": False}).body())
    await world.finished()
    await eventually(lambda: not list(world.store.select("jobs")), what="finished Jobs are deleted")
    await asyncio.sleep(0.5)
    assert [r.method for r in world.server.writes("/jobs/")] == ["DELETE"] * 3
    assert [r.method for r in world.server.writes("/status")] == ["PATCH"] * 4


async def test_requests_name_the_operator(world: World) -> None:
    """In audit logs, managedFields and dashboards of the API server; kopf makes some of them, the client others."""
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    assert {request.agent for request in world.server.requests} == {f"trainingrun-operator/{__version__}"}
    written = {(r.method, r.manager) for r in world.server.requests if r.writes}
    assert written == {("POST", MANAGER), ("PATCH", MANAGER), ("DELETE", "")}


async def test_the_server_prunes_no_field_of_a_written_status(world: World) -> None:
    seen: list[Object] = []
    world.store.listeners.append(lambda change: seen.append(change.body) if change.plural == "trainingruns" else None)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    statuses = [body["status"] for body in seen if "status" in body]
    assert len(statuses) >= 4
    assert [errors(crd_part("status"), status) for status in statuses] == [[]] * len(statuses)


async def test_the_operator_reads_no_secret_and_watches_only_its_own_jobs_and_pods(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    assert not [r.path for r in world.server.requests if "secret" in r.path]
    label = "trainingrun.dev/stage"
    watched = sorted(r.path for r in world.server.requests if "?watch" in r.path)
    assert watched == [
        f"/api/v1/pods?watch&{label}",
        f"/apis/batch/v1/jobs?watch&{label}",
        "/apis/trainingrun.dev/v1alpha1/trainingruns?watch&",
    ]
    refused = [r for r in world.server.requests if r.status >= 400 and "/leases" not in r.path]
    assert {(r.method, r.status) for r in refused} <= {("DELETE", 404)}


@pytest.mark.parametrize(
    "fields",
    [
        {"storage": {"endpoint": "http://169.254.169.254"}},
        {"storage": {"endpoint": "http://[::ffff:a9fe:a9fe]"}},
        {"storage": {"credentials": {"secretName": "database"}}},
        {"train": {"image": "evil.example/trainer:1"}},
        {"prep": {"pod": {"tolerations": [{"operator": "Exists"}]}}},
    ],
    ids=["metadata", "metadata by IPv6", "Secret", "image", "tolerations"],
)
async def test_a_run_that_policy_forbids_creates_nothing(world: World, fields: Object) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(**fields).body())
    status = await world.finished()
    assert (status["phase"], world.condition("Accepted")["reason"]) == ("Failed", "ForbiddenByPolicy")
    made = {r.path.rpartition("/")[2] for r in world.server.writes() if r.method == "POST"}
    assert made <= {"events", "leases"}


async def test_an_idle_operator_is_silent(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(suspend=True).body())
    await eventually(
        lambda: [event["reason"] for event in world.store.select("events")] == ["Suspended"],
        what="the last write of the reconcile",
    )
    before = len(world.server.writes())
    version = world.store.version
    with pytest.raises(AssertionError):
        await eventually(lambda: world.store.version != version, within=1.5)
    assert len(world.server.writes()) == before


async def test_health_and_metrics(world: World) -> None:
    running = await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as http:
        for path, part in (
            ("/healthz", "ok"),
            ("/readyz", "ok"),
            ("/metrics", 'trainingrun_runs{phase="Succeeded"} 1.0'),
        ):
            async with http.get(path) as answer:
                assert answer.status == 200
                assert part in await answer.text()


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_deleting_a_run_leaves_nothing(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    world.cluster.start(job)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    world.store.delete("trainingruns", "tire")
    await eventually(lambda: not world.operators[0].operator.cache.runs)
    kinds = {plural for plural, namespace, _ in world.store.objects if namespace == "default"}
    assert kinds <= {"events"}
    assert world.operators[0].operator.cache.jobs == {}


async def test_a_finished_run_is_deleted_after_its_ttl(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(ttlSecondsAfterFinished=0).body())
    await eventually(lambda: len(world.server.created("jobs")) == 3)
    await eventually(lambda: world.store.find("trainingruns", "tire") is None, what="the run is deleted")


async def test_tensorboard_is_removed_after_its_ttl(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(tensorboard={"ttlSecondsAfterFinished": 1}).body())
    await world.finished()
    assert world.server.created("deployments")
    await eventually(lambda: not list(world.store.select("deployments")), what="the Deployment is deleted")
    await eventually(lambda: not list(world.store.select("services")), what="the Service is deleted")
    await eventually(lambda: "tensorboard" not in world.status())


@pytest.mark.parametrize("script", [lambda job: verdict("prep", "crash") if "prep-1" in str(job) else None])
async def test_a_failed_attempt_is_followed_by_the_next(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun.domain.verdicts.BACK_OFF_SECONDS", (0, 1))
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.job("tire-prep-2")
    assert world.store.find("jobs", "tire-prep-1") is not None  # kept for its log
    await eventually(lambda: world.attempts("prep").get("number") == 2)
    assert world.attempts("prep")["failures"] == {"crash": 1}


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_suspend_and_resume(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.graceful_pods = True
    world.store.create("trainingruns", a_run().body())
    first = await world.job("tire-prep-1")
    world.cluster.start(first)
    await eventually(lambda: world.condition("Prepared").get("reason") == "Running")
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.condition("Prepared")["reason"] == "Suspending")
    await eventually(lambda: world.store.find("jobs", "tire-prep-1") is None, what="the Job is deleted")
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    await eventually(lambda: "waits until pod" in world.status()["message"])
    world.store.delete("pods", "tire-prep-1-x1")
    await world.job("tire-prep-2")


@pytest.mark.parametrize(
    "script", [lambda job: verdict("prep", "userError") if "-1" in job["metadata"]["name"] else None]
)
async def test_a_raised_retry_opens_a_failed_run(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    status = await world.finished()
    assert status["phase"] == "Failed"
    world.store.patch("trainingruns", "tire", {"spec": {"retry": 1}})
    await world.job("tire-prep-2")
    await eventually(lambda: world.condition("Finished")["status"] == "False")
    assert "finishedAt" not in world.status()
