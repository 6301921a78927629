"""A user who may create TrainingRuns tries to get a token of a ServiceAccount, or to send one where they can read it.

As in test_attacks.py, each attack is an object that the attacker creates; what counts is what the operator creates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.settings import Policy
from trfakes.attack import expect_nothing_is_made, note_pods
from trfakes.builders import a_run
from trfakes.harness import World

pytestmark = pytest.mark.contract
POLICY = Policy(
    service_accounts=("trainingrun-*",),
    sts_endpoints=("https://sts.*.amazonaws.com", "https://*.sts.example"),
    proxies=("http://*.proxies.example:3128",),
    pod_annotations=("*",),
)
ACCOUNT = "trainingrun-s3"


def as_account(name: str = ACCOUNT, **credentials: Any) -> dict[str, Any]:
    return {"storage": {"credentials": {"serviceAccountName": name, **credentials}}}


def to_sts(address: str) -> dict[str, Any]:
    return as_account(stsEndpoint=address)


def through(proxy: str) -> dict[str, Any]:
    return {"storage": {"proxy": proxy}}


ACCOUNTS = {
    "the account of another application": as_account("database", stsEndpoint="https://sts.eu-west-1.amazonaws.com"),
    "the namespace's default account": as_account("default", stsEndpoint="https://sts.eu-west-1.amazonaws.com"),
    "an account whose name begins alike": as_account("trainingrun", stsEndpoint="https://sts.eu-west-1.amazonaws.com"),
}
THEIR_STS = {
    "an STS of their own": to_sts("https://sts.evil.example"),
    "a name that begins alike": to_sts("https://sts.eu-west-1.amazonaws.com.evil.example"),
    "a name that ends alike": to_sts("https://evilsts.example"),
    "the network in between": to_sts("http://sts.eu-west-1.amazonaws.com"),
    "another port": to_sts("https://sts.eu-west-1.amazonaws.com:8443"),
    "a storage server of their own, which is the default STS": {
        "storage": {"endpoint": "https://evil.example", "credentials": {"serviceAccountName": ACCOUNT}}
    },
}
CONFUSING = {
    text: to_sts(text)
    for text in (
        "https://sts.eu-west-1.amazonaws.com@evil.example",
        "https://evil.example#sts.eu-west-1.amazonaws.com",
        "https://evil.example\\@sts.eu-west-1.amazonaws.com",
        "https://evil.example/sts.eu-west-1.amazonaws.com",
        "https://2852039166",
    )
}
LOCAL = {
    text: to_sts(text)
    for text in ("http://169.254.169.254", "http://[::ffff:a9fe:a9fe]", "http://metadata.google.internal")
}
PROXIES = {
    "a proxy of their own": through("http://proxy.evil.example:3128"),
    "a proxy whose name ends alike": through("http://evilproxies.example:3128"),
    "another port of an allowed proxy": through("http://a.proxies.example:22"),
}
LOCAL_PROXIES = {
    text: through(text)
    for text in ("http://169.254.169.254", "http://127.0.0.1:8080", "http://[fd00:ec2::254]", "http://localhost:2375")
}
ANNOTATION = {
    name: {**to_sts("https://sts.eu-west-1.amazonaws.com"), name: {"pod": {"annotations": {key: ""}}}}
    for key in ("eks.amazonaws.com/skip-containers",)
    for name in ("train", "export", "tensorboard")
}


IDENTITIES = {
    f"{key} of {name}": {**to_sts("https://sts.eu-west-1.amazonaws.com"), name: {"pod": {kind: {key: "true"}}}}
    for kind, key in (
        ("labels", "azure.workload.identity/use"),
        ("labels", "aadpodidbinding"),
        ("annotations", "iam.amazonaws.com/role"),
        ("annotations", "vault.hashicorp.com/agent-inject"),
    )
    for name in ("train", "tensorboard")
}


async def test_no_pod_runs_as_an_account_off_the_list(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, ACCOUNTS, "ForbiddenByPolicy")


async def test_no_pod_runs_as_any_account_unless_the_installer_lists_some(world: World) -> None:
    await world.start_operator()
    attack = to_sts("https://sts.eu-west-1.amazonaws.com")
    await expect_nothing_is_made(world, {"an account": attack, **ACCOUNTS}, "ForbiddenByPolicy")


async def test_no_token_is_sent_to_an_sts_of_the_users(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, THEIR_STS, "ForbiddenByPolicy")


async def test_no_token_is_sent_to_what_clients_could_read_differently(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, CONFUSING, "InvalidEndpoint")


async def test_no_token_is_sent_to_a_local_address(world: World) -> None:
    await world.start_operator(policy=replace(POLICY, sts_endpoints=("*",)))
    await expect_nothing_is_made(world, LOCAL, "ForbiddenByPolicy")


async def test_no_pod_goes_through_a_proxy_off_the_list(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, PROXIES, "ForbiddenByPolicy")


async def test_no_proxy_is_a_local_address(world: World) -> None:
    await world.start_operator(policy=replace(POLICY, proxies=("*",)))
    await expect_nothing_is_made(world, LOCAL_PROXIES, "ForbiddenByPolicy")


async def test_no_annotation_gives_the_trainer_the_keys_of_the_account(world: World) -> None:
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, ANNOTATION, "ForbiddenByPolicy")


async def test_no_key_of_a_webhook_gives_the_trainer_an_identity(world: World) -> None:
    """Azure's puts a token of the account into every container of a pod with its label."""
    await world.start_operator(policy=POLICY)
    await expect_nothing_is_made(world, IDENTITIES, "ForbiddenByPolicy")


async def test_a_token_is_good_for_the_sts_alone_and_only_the_agent_has_it(world: World) -> None:
    """Fields that would choose another audience or lifetime do not exist; here as without the API's schema."""
    made = note_pods(world)
    await world.start_operator(policy=POLICY)
    wishes: dict[str, Any] = {
        "audience": "https://kubernetes.default.svc",
        "tokenAudience": "x",
        "expirationSeconds": 10**9,
    }
    attack = as_account(**wishes, stsEndpoint="https://sts.eu-west-1.amazonaws.com")
    world.store.create("trainingruns", a_run().spec(**attack, **wishes).body())
    assert (await world.finished())["phase"] == "Succeeded"
    assert len(made) == 4
    for body in made:
        template = body["spec"]["template"]
        pod, containers = template["spec"], [c["name"] for c in template["spec"]["containers"]]
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (ACCOUNT, False)
        sources = [source for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", ())]
        token = {"path": "token", "audience": "sts.amazonaws.com", "expirationSeconds": 3600}
        assert sources == [{"serviceAccountToken": token}]
        (volume,) = (each["name"] for each in pod["volumes"] if "projected" in each)
        holders = [c["name"] for c in pod["containers"] if volume in {mount["name"] for mount in c["volumeMounts"]}]
        assert holders in (["agent"], ["mirror"])
        assert template["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"] == ",".join(containers)
        assert "kubernetes.default" not in str(pod)
