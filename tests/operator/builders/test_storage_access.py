"""How pods reach storage: a token or a Secret in agents alone, and the HTTP proxy that each run uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.settings import Policy, RunPods, Settings, StorageAccess
from trainingrun.builders.jobs import build_job
from trainingrun.builders.proxy import proxy_of, web_proxy_of
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.likeness import unlike
from trainingrun.domain.resolve import resolve
from trfakes.builders import SETTINGS, RunBuilder, a_run

PODS = (*Stage, "tensorboard")
CONTAINERS = {
    "prep": "agent",
    "train": "agent,trainer",
    "export": "agent,exporter",
    "tensorboard": "mirror,tensorboard",
}
SKIP = "eks.amazonaws.com/skip-containers"
KEYLESS = {"credentials": {"serviceAccountName": "trainingrun-s3"}}
OPEN = replace(
    SETTINGS,
    policy=Policy(
        service_accounts=("*",),
        sts_endpoints=("*",),
        proxies=("*",),
        weight_hosts=("*.example",),
        pod_annotations=("*",),
    ),
)
PROXY = "http://proxy.example:3128"


def bodies(builder: RunBuilder, settings: Settings = OPEN) -> dict[str, Any]:
    """Jobs and Deployment of a run, by stage."""
    run = builder.build()
    arguments: dict[str, Any] = {
        "resolved": resolve(run, settings=OPEN, find_run=lambda _: None),
        "digest": "0" * 64,
        "settings": settings,
    }
    made: dict[str, Any] = {str(stage): build_job(run, stage=stage, attempt=1, **arguments) for stage in Stage}
    return {**made, "tensorboard": build_tensorboard(run, **arguments)[0]}


def template(made: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(made[name]["spec"]["template"])


def mounting(pod: dict[str, Any], volume: str) -> list[str]:
    return [c["name"] for c in pod["containers"] if volume in {mount["name"] for mount in c["volumeMounts"]}]


@pytest.mark.parametrize("name", PODS)
def test_only_the_agent_gets_a_token_of_the_service_account(name: str) -> None:
    pod = template(bodies(a_run().spec(storage=KEYLESS)), name)["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("trainingrun-s3", False)
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "credentials")
    token = {"path": "token", "audience": "sts.amazonaws.com", "expirationSeconds": 3600}
    assert volume == {
        "name": "credentials",
        "projected": {"sources": [{"serviceAccountToken": token}], "defaultMode": 0o440},
    }
    agent = "mirror" if name == "tensorboard" else "agent"
    assert mounting(pod, "credentials") == [agent]
    (mount,) = (mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "credentials")
    assert mount == {"name": "credentials", "mountPath": "/var/run/secrets/trainingrun/s3", "readOnly": True}
    assert [kind for each in pod["volumes"] for kind in each if kind == "secret"] == []


@pytest.mark.parametrize("name", PODS)
def test_the_webhook_of_eks_gives_no_container_the_keys_of_the_account(name: str) -> None:
    """It gives them to every container of a pod whose ServiceAccount has a role, also to the trainer."""
    theirs = replace(OPEN, run_pods=RunPods(annotations={SKIP: "", "example.com/team": "a"}))
    for settings in (OPEN, theirs):
        annotations = template(bodies(a_run().spec(storage=KEYLESS), settings), name)["metadata"]["annotations"]
        assert annotations[SKIP] == CONTAINERS[name]
    names = [c["name"] for c in template(bodies(a_run().spec(storage=KEYLESS)), name)["spec"]["containers"]]
    assert ",".join(names) == CONTAINERS[name]


@pytest.mark.parametrize("name", PODS)
def test_a_run_with_a_secret_has_the_pods_of_an_earlier_version(name: str) -> None:
    made = template(bodies(a_run()), name)
    assert "serviceAccountName" not in made["spec"]
    assert SKIP not in made["metadata"].get("annotations", {})
    assert "TRAININGRUN_STORAGE_PROXY" not in str(made)
    assert {"name": "credentials", "secret": {"secretName": "trainingrun-s3", "defaultMode": 0o440}} in made["spec"][
        "volumes"
    ]


def test_the_audience_is_the_installers() -> None:
    settings = replace(OPEN, storage_access=StorageAccess(token_audience="storage.example"))
    pod = template(bodies(a_run().spec(storage=KEYLESS), settings), "prep")["spec"]
    assert "'audience': 'storage.example'" in str(pod["volumes"])


def test_a_job_that_the_api_server_has_stored_is_still_the_runs_own() -> None:
    """It repeats the name of the account under the field's old name."""
    job = bodies(a_run().spec(storage=KEYLESS))["train"]
    stored = {**job, "spec": {**job["spec"], "template": {**job["spec"]["template"]}}}
    stored["spec"]["template"]["spec"] = {**job["spec"]["template"]["spec"], "serviceAccount": "trainingrun-s3"}
    assert unlike(stored, job) == ""
    stored["spec"]["template"]["spec"]["serviceAccount"] = "admin"
    assert unlike(stored, job) == "spec.template.spec.serviceAccount"


@pytest.mark.parametrize("name", PODS)
def test_only_the_agent_knows_the_proxy(name: str) -> None:
    settings = replace(OPEN, storage_access=StorageAccess(proxy=PROXY))
    agent, *others = template(bodies(a_run(), settings), name)["spec"]["containers"]
    assert {"name": "TRAININGRUN_STORAGE_PROXY", "value": PROXY} in agent["env"]
    assert [entry for container in others for entry in container["env"]] == []


OWN = "https://own.example"
ADDRESS, IPV6 = {"endpoint": "http://10.1.2.3:9000"}, {"endpoint": "http://[fd00::1]:9000"}
# Storage of the spec, the installer's noProxy, the proxy that is used.
PROXIES: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "the installer's": ({}, (), PROXY),
    "the run's own": ({"proxy": OWN}, (), OWN),
    "the run's own, also where the installer's is not needed": ({"proxy": OWN}, ("*",), OWN),
    "switched off": ({"proxy": "none"}, (), ""),
    "not needed": ({}, ("s3.storage",), ""),
    "not needed below": ({}, ("other", ".storage"), ""),
    "not needed anywhere": ({}, ("*",), ""),
    "a name that only ends alike": ({}, ("3.storage", "torage"), PROXY),
    "a wildcard": ({"endpoint": "https://S3.Corp.Example"}, ("*.corp.example",), ""),
    "AWS": ({"endpoint": None}, ("svc",), PROXY),
    "AWS, not needed": ({"endpoint": None}, ("us-east-1.amazonaws.com",), ""),
    "address": (ADDRESS, ("10.1.2.3",), ""),
    "network": (ADDRESS, ("svc", "10.0.0.0/8"), ""),
    "another network": (ADDRESS, ("192.168.0.0/16",), PROXY),
    "IPv6": (IPV6, ("fd00::/8",), ""),
    "IPv6 in brackets": (IPV6, ("[fd00::1]",), ""),
}


@pytest.mark.parametrize(("storage", "no_proxy", "expected"), PROXIES.values(), ids=PROXIES)
def test_which_proxy_a_run_uses(storage: dict[str, Any], no_proxy: tuple[str, ...], expected: str) -> None:
    spec = a_run().spec(storage=storage).body()["spec"]["storage"]
    spec = {name: value for name, value in spec.items() if value is not None}
    assert proxy_of(spec, StorageAccess(proxy=PROXY, no_proxy=no_proxy)) == expected


def test_without_a_proxy_anywhere_there_is_none() -> None:
    assert proxy_of(a_run().body()["spec"]["storage"], StorageAccess()) == ""


# Weights, the rest of storage, the installer's noProxy, the proxy that is used for weights.
WEB_PROXIES: dict[str, tuple[str, dict[str, Any], tuple[str, ...], str]] = {
    "the installer's": ("https://zoo.example/a.tar.gz", {}, (), PROXY),
    "the installer's, though storage needs none": ("https://zoo.example/a.tar.gz", {}, ("storage",), PROXY),
    "not needed": ("https://zoo.example/a.tar.gz", {}, ("example",), ""),
    "the run's own": ("https://zoo.example/a.tar.gz", {"proxy": OWN}, (), OWN),
    "switched off": ("https://zoo.example/a.tar.gz", {"proxy": "none"}, (), ""),
    "weights in a bucket": ("s3://detectors/weights/a.tar.gz", {}, (), ""),
    "no weights": ("", {}, (), ""),
}


@pytest.mark.parametrize(("uri", "storage", "no_proxy", "expected"), WEB_PROXIES.values(), ids=WEB_PROXIES)
def test_which_proxy_weights_come_through(
    uri: str, storage: dict[str, Any], no_proxy: tuple[str, ...], expected: str
) -> None:
    pretrained = {"pretrained": {"uri": uri, "sha256": "0" * 64}} if uri else {}
    spec = {"storage": storage, "model": {"network": "ssd_inception_v2", **pretrained}}
    assert web_proxy_of(spec, StorageAccess(proxy=PROXY, no_proxy=no_proxy)) == expected


def test_the_agent_is_told_the_proxy_of_weights() -> None:
    spec = a_run().spec(model={"pretrained": {"uri": "https://zoo.example/a.tar.gz", "sha256": "0" * 64}})
    settings = replace(OPEN, storage_access=StorageAccess(proxy=PROXY, no_proxy=("storage",)))
    agent, *_ = template(bodies(spec, settings), "train")["spec"]["containers"]
    assert {"name": "TRAININGRUN_WEB_PROXY", "value": PROXY} in agent["env"]
    assert "TRAININGRUN_STORAGE_PROXY" not in str(agent["env"])
