"""A user who may create TrainingRuns in one namespace tries to get more through the operator, which serves all.

Each attack is an object that the attacker creates; what counts is what the operator then creates. The tests of the
single checks are in tests/operator/domain.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import zip_longest
from typing import Any

import pytest

from trainingrun.api.settings import Policy, RunPods
from trfakes.attack import expect_nothing_is_made, note_pods
from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS, verdict
from trfakes.harness import World, eventually
from trfakes.schema import crd_part, errors
from trfakes.store import Object

pytestmark = pytest.mark.contract
POLICY = Policy(
    images=("registry.example/*",),
    secret_names=("trainingrun-*",),
    endpoints=("http://s3.good*", "http://s3.storage:7070", "https://*.wild.example", "http://[*"),
    tolerations=("nvidia.com/*",),
    weight_hosts=("zoo.good.example", "*.wild.example"),
)
ANY_ENDPOINT = Policy()
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def endpoint(text: str) -> dict[str, Any]:
    return {"storage": {"endpoint": text}}


def tolerating(**toleration: str) -> dict[str, Any]:
    return {stage: {"pod": {"tolerations": [{"operator": "Exists", **toleration}]}} for stage in ("prep", "train")}


SECRETS = {
    "the Secret of another application": {"storage": {"credentials": {"secretName": "database"}}},
    "a Secret whose name begins alike": {"storage": {"credentials": {"secretName": "trainingrun"}}},
}
IMAGES = {
    "an image from elsewhere": {"train": {"image": "evil.example/trainer:1"}},
    "a registry whose name begins alike": {"train": {"image": "registry.example.evil.example/trainer:1"}},
    "the operator's repository with another tag": {"train": {"image": "trainer:2"}},
}
NODES = {
    "control-plane nodes": tolerating(key=CONTROL_PLANE),
    "control-plane nodes by their old name": tolerating(key="node-role.kubernetes.io/master"),
    "every taint at once": tolerating(),
    "the nodes of another team": tolerating(key="team"),
}
PRIORITIES = {
    "the class of the cluster's own pods": {"train": {"pod": {"priorityClassName": "system-node-critical"}}},
    "the class of another team": {"prep": {"pod": {"priorityClassName": "production"}}},
    "the same for TensorBoard": {"tensorboard": {"pod": {"priorityClassName": "production"}}},
}
ANNOTATIONS = {
    key: {"train": {"pod": {"annotations": {key: "x"}}}}
    for key in (
        "sidecar.istio.io/proxyImage",
        "inject.istio.io/templates",
        "config.linkerd.io/proxy-image",
        "iam.amazonaws.com/role",
        "vault.hashicorp.com/agent-inject",
        "container.apparmor.security.beta.kubernetes.io/agent",
    )
}
LABELS = {
    key: {"export": {"pod": {"labels": {key: "x"}}}}
    for key in (
        "trainingrun.dev/run",
        "trainingrun.dev/run-uid",
        "trainingrun.dev/stage",
        "app.kubernetes.io/managed-by",
        "batch.kubernetes.io/job-name",
        "job-name",
    )
}
SERVERS = {
    "another server": endpoint("https://evil.example"),
    "a server whose name begins alike": endpoint("http://s3.good.evil.example"),
    "another port": endpoint("http://s3.good:9000"),
    "another scheme": endpoint("https://s3.good"),
    "a name that ends alike": endpoint("https://evilwild.example"),
}
CONFUSING = {
    text: endpoint(text)
    for text in (
        "http://s3.good@evil.example",
        "http://s3.good%40evil.example",
        "http://evil.example#s3.good",
        "http://evil.example\\@s3.good",
        "http://s3\u3002good",
        "http://s3.good\n",
        "http://2852039166",
        "http://0xa9fea9fe",
    )
}
LOCAL = {
    text: endpoint(text)
    for text in (
        "http://169.254.169.254",
        "http://[::ffff:a9fe:a9fe]",
        "http://[fd00:ec2::254]",
        "http://METADATA.google.INTERNAL.",
        "http://127.0.0.1:9000",
        "http://localhost",
    )
}


WEIGHTS = {
    text: {"model": {"pretrained": {"uri": f"https://{text}/a.tar.gz", "sha256": "a" * 64}}}
    for text in (
        "evil.example",
        "zoo.good.example.evil.example",
        "evilzoo.good.example",
        "zoo.good.example:8443",
        "wild.example",
        "evilwild.example",
    )
}
CONFUSING_WEIGHTS = {
    text: {"model": {"pretrained": {"uri": f"https://{text}/a.tar.gz", "sha256": "a" * 64}}}
    for text in (
        "zoo.good.example@evil.example",
        "evil.example#zoo.good.example",
        "evil.example\\@zoo.good.example",
        "zoo.good.example:443:80",
        "2852039166",
    )
}


async def test_secrets_of_others_reach_no_pod(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, SECRETS, "ForbiddenByPolicy")
    assert [request for request in world.server.requests if "/secrets" in request.path] == []


async def test_code_of_others_reaches_no_pod(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, IMAGES, "ForbiddenByPolicy")


async def test_no_pod_goes_to_nodes_of_others(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, NODES, "ForbiddenByPolicy")


async def test_no_pod_takes_the_place_of_others(world: World) -> None:
    await world.start_operator()
    await expect_nothing_is_made(world, PRIORITIES, "ForbiddenByPolicy")


async def test_no_annotation_brings_a_container_or_an_identity_along(world: World) -> None:
    await world.start_operator()
    await expect_nothing_is_made(world, ANNOTATIONS, "ForbiddenByPolicy")


async def test_no_pod_counts_as_one_of_another_run(world: World) -> None:
    await world.start_operator()
    await expect_nothing_is_made(world, LABELS, "ForbiddenByPolicy")


async def test_rules_of_the_platform_team_hold_in_every_pod(world: World) -> None:
    """The platform team's label decides what a pod may do, such as by a NetworkPolicy."""
    made = note_pods(world)
    theirs, asked = {"egress": "none"}, {"labels": {"egress": "all"}, "annotations": {"linkerd.io/inject": "disabled"}}
    rules = RunPods(labels=theirs, annotations={"linkerd.io/inject": "enabled"})
    await world.start_operator(run_pods=rules)
    pods = {name: {"pod": asked} for name in ("prep", "train", "export", "tensorboard")}
    world.store.create("trainingruns", a_run().spec(**pods).body())
    assert (await world.finished())["phase"] == "Succeeded"
    assert len(made) >= 3
    for body in made:
        meta = body["spec"]["template"]["metadata"]
        assert (meta["labels"]["egress"], meta["annotations"]["linkerd.io/inject"]) == ("none", "enabled")


async def test_no_pod_is_sent_to_a_server_off_the_list(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, SERVERS, "ForbiddenByPolicy")


async def test_leaving_the_endpoint_out_is_no_way_around_the_list(world: World) -> None:
    await world.start_operator(policy=POLICY)
    body = a_run().body()
    del body["spec"]["storage"]["endpoint"]
    world.store.create("trainingruns", body)
    await world.finished()
    assert world.condition("Accepted")["reason"] == "ForbiddenByPolicy"
    assert list(world.store.select("jobs")) == []


async def test_no_pod_is_sent_to_what_clients_could_read_differently(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, CONFUSING, "InvalidEndpoint")


async def test_no_pod_is_sent_to_a_local_address(world: World) -> None:
    await world.start_operator(policy=ANY_ENDPOINT)
    await expect_nothing_is_made(world, LOCAL, "ForbiddenByPolicy")


async def test_no_pod_fetches_weights_from_a_host_off_the_list(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, WEIGHTS, "ForbiddenByPolicy")


async def test_no_pod_fetches_weights_from_any_host_unless_the_installer_lists_some(world: World) -> None:
    await world.start_operator()
    await expect_nothing_is_made(world, WEIGHTS, "ForbiddenByPolicy")


async def test_no_pod_fetches_weights_from_what_clients_could_read_differently(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, CONFUSING_WEIGHTS, "InvalidWeightsAddress")


async def test_a_host_behind_a_wildcard_must_not_lead_to_a_local_address(world: World) -> None:
    """Whoever owns a name below the wildcard decides its address: the agent refuses these networks when it connects."""
    await world.start_operator(policy=POLICY)
    url = "https://mine.wild.example/a.tar.gz"
    world.store.create("trainingruns", a_run().spec(model={"pretrained": {"uri": url, "sha256": "a" * 64}}).body())
    await world.job("tire-prep-1")
    (held,) = world.store.select("configmaps")
    pretrained = json.loads(held["data"]["resolved.json"])["model"]["pretrained"]
    assert {"127.0.0.0/8", "169.254.0.0/16"} <= set(pretrained["refusedNetworks"])


WISHES: dict[str, Any] = {
    "serviceAccountName": "admin",
    "automountServiceAccountToken": True,
    "nodeName": "control-plane-1",
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "imagePullSecrets": [{"name": "registry-of-others"}],
    "securityContext": {"runAsUser": 0, "privileged": True},
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "initContainers": [{"name": "x", "image": "evil"}],
    "containers": [{"name": "x", "image": "evil"}],
    "env": [{"name": "LD_PRELOAD", "value": "/evil.so"}],
    "command": ["/evil"],
    "args": ["/evil"],
    "hostAliases": [{"ip": "169.254.169.254", "hostnames": ["s3.storage"]}],
    "dnsConfig": {"nameservers": ["192.0.2.1"]},
}
"""Fields that the API does not have; only an API server without the schema would accept them."""


async def test_fields_that_the_api_does_not_have_reach_no_pod(world: World) -> None:
    await world.start_operator()
    everything = {stage: {**WISHES, "pod": WISHES} for stage in ("prep", "train", "export", "tensorboard", "storage")}
    made = note_pods(world)
    world.store.create("trainingruns", a_run().spec(**everything, **WISHES).body())
    assert (await world.finished())["phase"] == "Succeeded"
    pods = [body["spec"]["template"]["spec"] for body in made]
    assert {body["metadata"]["name"] for body in made} >= {"tire-prep-1", "tire-train-1", "tire-export-1"}
    for pod in pods:
        names = {container["name"] for container in pod["containers"]}
        assert names <= {"agent", "trainer", "exporter", "mirror", "tensorboard"}
        assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsUser"]) == (False, 65532)
        assert not pod.keys() & {"serviceAccountName", "nodeName", "hostNetwork", "hostPID", "hostIPC", "dnsConfig"}
        text = json.dumps(pod)
        assert [
            word for word in ("evil", "hostPath", "hostAliases", '"privileged": true', "-others") if word in text
        ] == []


async def test_a_run_of_another_namespace_gives_no_weights(world: World) -> None:
    """The attacker knows its name; their own run of the name is what counts."""
    theirs = a_run("theirs").condition("Succeeded").condition("Finished").status(export=dict(NUMBERS["export"]))
    world.store.create("trainingruns", theirs.body(), namespace="victim")
    await world.start_operator()
    for name, asked in (("by-name", "theirs"), ("by-path", "victim/theirs"), ("by-dots", "../victim/theirs")):
        world.store.create("trainingruns", a_run(name).spec(model={"pretrained": {"run": asked}}).body())
        await eventually(partial(is_refused, world, name), seen=partial(world.status, name))
    assert [body["metadata"]["name"] for kind in ("configmaps", "jobs") for body in world.store.select(kind)] == []


def is_refused(world: World, name: str) -> bool:
    return bool(world.condition("Accepted", name).get("reason") == "PretrainedRunNotFound")


async def test_a_run_of_another_namespace_is_not_continued(world: World) -> None:
    theirs = a_run("theirs").condition("Finished").status(storageURI="s3://detectors/runs/victim/theirs-0/")
    world.store.create("trainingruns", theirs.body(), namespace="victim")
    await world.start_operator()
    world.store.create("trainingruns", a_run("mine").spec(resumeFrom={"run": "theirs"}).body())
    await eventually(
        lambda: world.condition("Accepted", "mine").get("reason") == "ResumeFromRunNotFound",
        seen=partial(world.status, "mine"),
    )
    assert [body["metadata"]["name"] for kind in ("configmaps", "jobs") for body in world.store.select(kind)] == []


async def test_only_the_agents_container_mounts_the_runs_secret(world: World) -> None:
    made = note_pods(world)
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    assert (await world.finished())["phase"] == "Succeeded"
    assert len(made) == 4
    for body in made:
        pod = body["spec"]["template"]["spec"]
        (volume,) = (each["name"] for each in pod["volumes"] if "secret" in each)
        holders = [c["name"] for c in pod["containers"] if volume in {mount["name"] for mount in c["volumeMounts"]}]
        assert holders in (["agent"], ["mirror"]), body["metadata"]["name"]
        assert "envFrom" not in str(pod)
        assert "secretKeyRef" not in str(pod)


GARBAGE: dict[str, Any] = {
    "text": "x" * 120,
    "negative": -1,
    "huge": 2**80,
    "list": [[]] * 7,
    "object": {"a": {}},
    "true": True,
    "null": None,
}
TIMES = ("", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", 5)


def spoil(world: World, job: Object, value: Any, time: Any) -> None:
    """End a pod with a value in every field of its verdict, and a time everywhere where Kubernetes has one."""
    stage = job["metadata"]["labels"]["trainingrun.dev/stage"]
    names = (
        *NUMBERS[stage],
        "checkpointURI",
        "storageWarning",
        "resumedFromStep",
        "stepsLost",
        "restored",
        "format",
    )
    spoiled = dict.fromkeys(names, value)
    timings = dict.fromkeys(("fetch", "work", "ship"), value)
    world.store.update_status("jobs", job["metadata"]["name"], startTime=time)
    pod = world.cluster.start(job)
    said = json.dumps(verdict(stage, numbers=spoiled, timings=timings, hint=value, nextStep=value, epoch=value))
    ended = {"exitCode": 0, "message": said, "startedAt": time, "finishedAt": time}
    names_of_containers = [container["name"] for container in pod["spec"]["containers"]]
    states = [{"name": name, "state": {"terminated": ended}} for name in names_of_containers]
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": time}
    where = pod["metadata"]["name"]
    world.store.update_status("pods", where, phase="Succeeded", containerStatuses=states, conditions=[placed])


@pytest.mark.parametrize("script", [lambda _job: None])
async def test_no_value_or_time_of_a_pod_breaks_a_status(world: World, script: object) -> None:
    await world.start_operator()
    cases = list(zip_longest(GARBAGE.values(), TIMES, fillvalue="x"))
    names = [f"spoiled-{number}" for number in range(len(cases))]
    for name in names:
        world.store.create("trainingruns", a_run(name).body())
    for stage in ("prep", "train", "export"):
        for name, (value, time) in zip(names, cases, strict=True):
            spoil(world, await world.job(f"{name}-{stage}-1"), value, time)
    for name in names:
        assert (await world.finished(name))["phase"] == "Succeeded"
    statuses = [c.body["status"] for c in world.store.history if c.plural == "trainingruns" and "status" in c.body]
    assert [found for status in statuses for found in errors(crd_part("status"), status)] == []
