"""Attacks with objects that a tenant can write in the run's namespace: nothing of them is used, and the run says so."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from trainingrun.api.names import resolved_name
from trainingrun.api.settings import Policy
from trfakes.builders import a_run
from trfakes.fake_cluster import Script, verdict
from trfakes.harness import World, eventually
from trfakes.store import Object

pytestmark = pytest.mark.contract
EVIL = {"contractVersion": 1, "images": dict.fromkeys(("agent", "trainer", "tensorboard"), "evil:1")}
FORGED = json.dumps(EVIL)
TEXTS = {
    "empty": "",
    "a list": "[1]",
    "no JSON": "{nope",
    "almost nothing": '{"contractVersion":1}',
    "a newer contract": '{"contractVersion": 99999999999999999999}',
    "nested deeply": "[" * 5000,
    "other images": FORGED,
    "a terminal's commands": '{"contractVersion": 1, "\\u001b[2J": 1}',
}


def name_of_map(world: World) -> str:
    return resolved_name("tire", uid=world.run()["metadata"]["uid"])


def owner(world: World) -> dict[str, Any]:
    """An owner reference, as anyone can write it."""
    kind = {"apiVersion": "trainingrun.dev/v1alpha1", "kind": "TrainingRun", "controller": True}
    return {**kind, "name": "tire", "uid": world.run()["metadata"]["uid"]}


def forge_map(world: World, data: dict[str, str], **meta: Any) -> None:
    body = {"metadata": {"name": name_of_map(world), **meta}, "immutable": True, "data": data}
    world.store.create("configmaps", body)


def was_read(world: World, times: int) -> bool:
    reads = [r for r in world.server.requests if r.method == "GET" and r.path.endswith("/jobs/tire-prep-1")]
    return len(reads) >= times


def forge_job(world: World, **labels: str) -> Object:
    """A Job as the operator names and labels its own, with another image."""
    run = world.run()["metadata"]
    ours = {"run": "tire", "run-uid": run["uid"], "stage": "prep", "attempt": "1", **labels}
    named = {f"trainingrun.dev/{key}": value for key, value in ours.items()}
    template = {"metadata": {"labels": named}, "spec": {"containers": [{"name": "agent", "image": "evil:1"}]}}
    meta = {"name": "tire-prep-1", "labels": named, "ownerReferences": [owner(world)]}
    return world.store.create("jobs", {"metadata": meta, "spec": {"template": template}})


async def blocked(world: World, reason: str) -> str:
    await eventually(lambda: world.condition("Accepted").get("reason") == reason, seen=world.status)
    message: str = world.status()["message"]
    assert message.isprintable()
    return message


async def look_again(world: World) -> None:
    """Make the operator reconcile now, not when it would read the ConfigMap again."""
    world.store.patch("trainingruns", "tire", {"spec": {"ttlSecondsAfterFinished": 10**6}})


async def is_not_hot(world: World) -> None:
    """The operator tries again seconds later, not at once."""

    def calls() -> int:
        return len([r for r in world.server.requests if re.search("/configmaps|/jobs/|/status$|/events$", r.path)])

    before = calls()
    await asyncio.sleep(0.2)
    assert calls() - before <= 4


def no_evil_job(world: World) -> bool:
    jobs = [change.body for change in world.store.history if change.plural == "jobs"]
    return "evil" not in json.dumps(jobs)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("accepted", [False, True], ids=["new", "accepted before digests"])
async def test_a_forged_config_map_is_never_believed_and_costs_nothing(world: World, text: str, accepted: bool) -> None:
    world.store.create("trainingruns", a_run().body())
    if accepted:
        world.store.update_status("trainingruns", "tire", storageURI="s3://detectors/runs/default/tire/")
    forge_map(world, {"resolved.json": text}, ownerReferences=[owner(world)])
    await world.start_operator()
    message = await blocked(world, "ForeignConfigMap")
    command = f"kubectl -n default delete configmap {name_of_map(world)}"
    assert command in world.condition("Accepted")["message"]
    assert command in message
    await is_not_hot(world)
    assert not list(world.store.select("jobs"))
    world.store.delete("configmaps", name_of_map(world))
    if accepted:  # nothing shows with what
        world.store.patch("trainingruns", "tire", {"spec": {"retry": 1}})
    await look_again(world)
    assert (await world.finished())["phase"] == "Succeeded"
    assert no_evil_job(world)


async def test_a_config_map_without_the_document_is_not_believed(world: World) -> None:
    world.store.create("trainingruns", a_run().body())
    forge_map(world, {"other.json": FORGED})
    await world.start_operator()
    await blocked(world, "ForeignConfigMap")


async def test_a_config_map_of_the_same_text_is_taken_whoever_wrote_it(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(suspend=True).body())
    await eventually(lambda: "resolvedDigest" in world.status())
    await world.operators[0].stop()
    text = world.store.get("configmaps", name_of_map(world))["data"]["resolved.json"]
    world.store.delete("configmaps", name_of_map(world))
    forge_map(world, {"resolved.json": text})
    run = world.run()
    del run["status"]
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    await world.replace_operator()
    assert (await world.finished())["phase"] == "Succeeded"


async def suspended_in_training(world: World) -> str:
    """A run that was accepted and is suspended; returns the text of its document."""
    world.cluster.script = lambda job: None if "train" in job["metadata"]["name"] else verdict("prep")
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.job("tire-train-1")
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": True}})
    await eventually(lambda: world.status()["phase"] == "Suspended")
    world.cluster.script = lambda job: verdict(job["metadata"]["labels"]["trainingrun.dev/stage"])
    text: str = world.store.get("configmaps", name_of_map(world))["data"]["resolved.json"]
    return text


@pytest.mark.parametrize("restart", [False, True], ids=["same operator", "after a restart"])
@pytest.mark.parametrize("text", [FORGED, ""], ids=["other images", "empty"])
async def test_a_config_map_replaced_during_a_suspension_starts_nothing(world: World, restart: bool, text: str) -> None:
    accepted = await suspended_in_training(world)
    world.store.delete("configmaps", name_of_map(world))
    forge_map(world, {"resolved.json": text})
    if restart:
        await world.operators[0].stop()
        await world.replace_operator()
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    message = await blocked(world, "ConfigMapReplaced")
    assert f"kubectl -n default delete configmap {name_of_map(world)}" in message
    await is_not_hot(world)
    assert world.store.find("jobs", "tire-train-2") is None
    world.store.delete("configmaps", name_of_map(world))
    await look_again(world)
    assert (await world.finished())["phase"] == "Succeeded"
    assert world.store.get("configmaps", name_of_map(world))["data"]["resolved.json"] == accepted
    assert no_evil_job(world)


NEWER = {"agent_image": "agent:2", "trainer_image": "trainer:2", "tensorboard_image": "tensorboard:2"}


async def test_a_deleted_config_map_that_cannot_be_made_again_is_named_and_can_be_restored(world: World) -> None:
    accepted = await suspended_in_training(world)
    await world.operators[0].stop()
    world.store.delete("configmaps", name_of_map(world))
    await world.replace_operator(**NEWER)
    message = await blocked(world, "ConfigMapLost")
    assert f"ConfigMap {name_of_map(world)} was deleted, and the operator would write another one today." in message
    assert "Restore it from a backup" in message
    forge_map(world, {"resolved.json": accepted})
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    assert (await world.finished())["phase"] == "Succeeded"


async def lost(world: World, **settings: Any) -> None:
    """A run whose ConfigMap its user deleted, with an operator that would write another one."""
    await suspended_in_training(world)
    await world.operators[0].stop()
    world.store.delete("configmaps", name_of_map(world))
    await world.replace_operator(**settings)
    await blocked(world, "ConfigMapLost")


async def test_retry_accepts_a_run_anew_whose_config_map_is_gone_though_the_operator_dies_over_it(world: World) -> None:
    await lost(world, **NEWER)
    world.server.die_after_writes = len(world.server.writes()) + 1  # the ConfigMap, and nothing that tells of it
    world.store.patch("trainingruns", "tire", {"spec": {"retry": 1, "suspend": False}})
    await eventually(lambda: world.server.dead)
    await world.replace_operator(**NEWER)
    assert (await world.finished())["phase"] == "Succeeded"
    text = world.store.get("configmaps", name_of_map(world))["data"]["resolved.json"]
    assert json.loads(text)["images"]["agent"] == "agent:2"
    assert world.attempts("prep")["number"] == 1


async def test_a_run_whose_config_map_its_user_deletes_passes_todays_policy_at_retry(world: World) -> None:
    await lost(world, policy=Policy(endpoints=("https://s3.example.com",)))
    jobs = len(world.server.created("jobs"))
    world.store.patch("trainingruns", "tire", {"spec": {"retry": 1, "suspend": False}})
    assert (await world.finished())["phase"] == "Failed"
    assert world.condition("Accepted")["reason"] == "ForbiddenByPolicy"
    assert len(world.server.created("jobs")) == jobs
    assert world.store.find("configmaps", name_of_map(world)) is None


async def test_a_config_map_that_this_operator_has_read_is_made_again_after_an_upgrade(world: World) -> None:
    accepted = await suspended_in_training(world)
    await world.operators[0].stop()
    before = len(world.server.requests)
    await world.replace_operator(**NEWER)
    await eventually(lambda: any(r.path.endswith(name_of_map(world)) for r in world.server.requests[before:]))
    world.store.delete("configmaps", name_of_map(world))
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    assert (await world.finished())["phase"] == "Succeeded"
    assert world.store.get("configmaps", name_of_map(world))["data"]["resolved.json"] == accepted


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_forged_job_proves_nothing(world: World, script: Script) -> None:
    """Its verdict and its progress are those of whoever made it."""
    world.store.create("trainingruns", a_run().body())
    forged = forge_job(world)
    pod = world.cluster.start(forged)
    world.server.answers.logs[pod["metadata"]["name"]] = "progress {}"
    world.cluster.end(forged, verdict("prep"))
    await world.start_operator()
    await eventually(lambda: "Job default/tire-prep-1 exists" in world.status().get("message", ""), seen=world.status)
    assert world.condition("Prepared").get("status") != "True"
    assert not [r for r in world.server.requests if r.path.endswith("/log")]
    assert world.store.find("jobs", "tire-train-1") is None
    await is_not_hot(world)
    world.cluster.script = lambda job: verdict(job["metadata"]["labels"]["trainingrun.dev/stage"])
    world.store.delete("jobs", "tire-prep-1")
    assert (await world.finished())["phase"] == "Succeeded"


@pytest.mark.parametrize("attempt", ["99999999999999999999", "0", "-1", "1_0", "07", "2147483648", "x", ""])
@pytest.mark.parametrize("name", ["tire-prep-1", "tire-prep-99999999999999999999"])
async def test_a_label_of_a_job_never_stops_the_run(world: World, attempt: str, name: str) -> None:
    world.store.create("trainingruns", a_run().body())
    body = forge_job(world, attempt=attempt)
    if name != "tire-prep-1":
        world.store.delete("jobs", "tire-prep-1")
        world.store.create("jobs", {**body, "metadata": {**body["metadata"], "name": name, "uid": "forged"}})
    await world.start_operator()
    if name == "tire-prep-1":
        await eventually(lambda: "Job default/tire-prep-1 exists" in world.status().get("message", ""))
        world.store.delete("jobs", name)
    assert (await world.finished())["phase"] == "Succeeded"
    assert world.attempts("prep")["number"] == 1


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_forged_jobs_that_come_and_go_are_not_remembered(world: World, script: Script) -> None:
    """The spec of each, of up to a megabyte, stayed in memory."""
    world.store.create("trainingruns", a_run().spec(suspend=True).body())
    operator: Any = (await world.start_operator()).operator
    await eventually(lambda: world.condition("Prepared").get("reason") == "Suspended")
    for number in range(1, 6):
        forge_job(world)
        await eventually(partial(was_read, world, number))
        world.store.delete("jobs", "tire-prep-1")
        await eventually(lambda: "default/tire" not in operator.cache.jobs)
    world.store.patch("trainingruns", "tire", {"spec": {"retry": 1}})
    await eventually(lambda: world.status().get("retry") == 1)
    assert operator._health._parts[2]._memories._by_key["default/tire"].specs == {}


async def test_a_deployment_of_tensorboards_name_is_left_alone_and_not_shown(world: World) -> None:
    world.store.create("trainingruns", a_run().body())
    selector: dict[str, Any] = {"matchLabels": {}}
    template = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "tensorboard", "image": "evil:1"}]}}
    meta = {"name": "tire-tensorboard", "ownerReferences": [owner(world)]}
    spec = {"replicas": 1, "selector": selector, "template": template}
    forged = world.store.create("deployments", {"metadata": meta, "spec": spec})
    await world.start_operator()
    assert (await world.finished())["phase"] == "Succeeded"
    await eventually(lambda: "belong" in world.status().get("tensorboard", {}).get("message", ""))
    assert "serviceName" not in world.status()["tensorboard"]
    assert world.store.get("deployments", "tire-tensorboard") == forged


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "image of the agent": lambda document: document["images"].update(agent="evil:1"),
    "image of the trainer": lambda document: document["images"].update(trainer="evil:1"),
    "metadata service": lambda document: document["storage"].update(endpoint="http://169.254.169.254"),
    "no refused networks": lambda document: document["storage"].update(refusedNetworks=[]),
    "bucket of others": lambda document: document["dataset"]["train"].update(bucket="evil"),
    "labels of pods": lambda document: document.update(pods={"prep": {"labels": {"team": "evil"}}}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_document_that_was_forged_before_an_upgrade_is_not_adopted(world: World, change: Change) -> None:
    """The version that accepted the run kept no digest."""
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(suspend=True).body())
    await eventually(lambda: world.condition("Prepared").get("reason") == "Suspended")
    await world.operators[0].stop()
    world.store.patch("trainingruns", "tire", {"status": {"resolvedDigest": None}}, status=True)
    document = json.loads(world.store.get("configmaps", name_of_map(world))["data"]["resolved.json"])
    change(document)
    world.store.delete("configmaps", name_of_map(world))
    forge_map(world, {"resolved.json": json.dumps(document)}, ownerReferences=[owner(world)])
    world.store.patch("trainingruns", "tire", {"spec": {"suspend": False}})
    await world.replace_operator()
    await blocked(world, "ForeignConfigMap")
    assert "resolvedDigest" not in world.status()
    assert not list(world.store.select("jobs"))


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_a_pod_with_the_labels_of_an_attempt_proves_nothing(world: World, script: Script) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    other = world.store.create("jobs", {"metadata": {"name": "of-a-tenant"}, "spec": job["spec"]})
    world.cluster.start(other)
    world.cluster.end(other, verdict("prep"))
    world.store.create("configmaps", {"metadata": {"name": "later"}})
    await eventually(lambda: "default/tire" in world.operators[0].operator.cache.pods)
    await eventually(lambda: not len(world.operators[0].operator.queue))
    await eventually(lambda: world.condition("Prepared").get("status") == "False")
    world.cluster.start(job)
    world.cluster.end(job, verdict("prep", "userError", reason="ClassNotFound"))
    assert (await world.finished())["phase"] == "Failed"


NO_TIMES = ["", "x", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00"]


@pytest.mark.parametrize("script", [lambda _job: None])
@pytest.mark.parametrize("text", NO_TIMES)
async def test_a_time_that_is_none_stops_no_run(world: World, script: Script, text: str) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    job = await world.job("tire-prep-1")
    pod = world.cluster.start(job)["metadata"]["name"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": text}
    state = {
        "terminated": {"exitCode": 0, "startedAt": text, "finishedAt": text, "message": json.dumps(verdict("prep"))}
    }
    states = [{"name": "agent", "state": state}]
    world.store.update_status("pods", pod, phase="Succeeded", conditions=[scheduled], containerStatuses=states)
    complete = {"type": "Complete", "status": "True", "lastTransitionTime": text}
    world.store.update_status("jobs", "tire-prep-1", conditions=[complete])
    await world.job("tire-train-1")
