"""ServiceAccounts, STS and proxies: what the installer's lists allow, and which networks agents must refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.settings import Policy, StorageAccess
from trainingrun.domain.endpoints import REFUSED_NETWORKS
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import resolve
from trfakes.builders import SETTINGS, RunBuilder, a_run
from trfakes.schema import contract, crd_part, errors

ENDPOINT = "http://s3.storage:7070"  # that of a_run
ACCOUNTS = Policy(service_accounts=("trainingrun-*",), sts_endpoints=("https://sts.*.amazonaws.com",))
HELM = "http://proxy.corp.example:3128"


def keyless(endpoint: str | None = ENDPOINT, *, name: str = "trainingrun-s3", **credentials: Any) -> RunBuilder:
    """A run with a ServiceAccount; without an endpoint it is on AWS."""
    storage = {**a_run().body()["spec"]["storage"], "endpoint": endpoint}
    storage["credentials"] = {"serviceAccountName": name, **credentials}
    if endpoint is None:
        del storage["endpoint"]
    return a_run().without("storage").spec(storage=storage)


def through(proxy: str, **storage: Any) -> RunBuilder:
    return a_run().spec(storage={"proxy": proxy, **storage})


def storage_of(builder: RunBuilder, policy: Policy, *, helm: str = "") -> dict[str, Any]:
    settings = replace(SETTINGS, policy=policy, storage_access=StorageAccess(proxy=helm))
    run = builder.build()
    assert errors(crd_part("spec"), dict(run.spec)) == []
    document = resolve(run, settings=settings, find_run=lambda _: None)
    assert errors(contract("resolved"), document) == []
    return dict(document["storage"])


ACCOUNT_AT, STS_AT = "spec.storage.credentials.serviceAccountName", "spec.storage.credentials.stsEndpoint"
AWS_ONLY = "https://sts.*.amazonaws.com"
LOOKALIKE = "https://sts.eu-west-1.amazonaws.com.evil.example"
FORBIDDEN = {
    "a ServiceAccount, by default": (keyless(), Policy(), f"{ACCOUNT_AT}: 'trainingrun-s3'", "none", "serviceAccounts"),
    "a ServiceAccount that only begins alike": (
        keyless(name="trainingrun"),
        ACCOUNTS,
        f"{ACCOUNT_AT}: 'trainingrun'",
        "trainingrun-*",
        "serviceAccounts",
    ),
    "an STS of the user's": (
        keyless(None, stsEndpoint="https://sts.evil.example"),
        ACCOUNTS,
        f"{STS_AT}: 'https://sts.evil.example'",
        AWS_ONLY,
        "stsEndpoints",
    ),
    "an STS whose name only begins alike": (
        keyless(None, stsEndpoint=LOOKALIKE),
        ACCOUNTS,
        f"{STS_AT}: '{LOOKALIKE}'",
        AWS_ONLY,
        "stsEndpoints",
    ),
    "the storage as STS, which nobody has allowed": (
        keyless(),
        ACCOUNTS,
        f"{STS_AT}: http://s3.storage:7070 (the default, storage.endpoint)",
        AWS_ONLY,
        "stsEndpoints",
    ),
    "AWS as STS, where it is not on the list": (
        keyless(None),
        replace(ACCOUNTS, sts_endpoints=()),
        f"{STS_AT}: https://sts.us-east-1.amazonaws.com (the default, AWS)",
        "none",
        "stsEndpoints",
    ),
    "a proxy, by default": (
        through("http://proxy.evil.example:3128"),
        Policy(),
        "spec.storage.proxy: 'http://proxy.evil.example:3128'",
        "none",
        "proxies",
    ),
    "a proxy on another port": (
        through("http://proxy.corp.example"),
        Policy(proxies=(HELM,)),
        "spec.storage.proxy: 'http://proxy.corp.example'",
        HELM,
        "proxies",
    ),
}


@pytest.mark.parametrize(("builder", "policy", "what", "allowed", "setting"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_the_lists_forbid(builder: RunBuilder, policy: Policy, what: str, allowed: str, setting: str) -> None:
    with pytest.raises(NotAcceptedError) as refusal:
        storage_of(builder, policy)
    assert (refusal.value.reason.name, refusal.value.waits) == ("ForbiddenByPolicy", False)
    assert refusal.value.full == (
        f"{what} is not allowed here; allowed: {allowed}. Create a new TrainingRun with an allowed value, or ask your "
        f"platform team to extend policy.{setting} of the operator's Helm values."
    )


LOCAL = {
    "proxy": (through("http://169.254.169.254:3128"), "spec.storage.proxy", "a proxy", "policy.proxies"),
    "proxy by name": (through("http://metadata.google.internal"), "spec.storage.proxy", "a proxy", "policy.proxies"),
    "STS": (
        keyless(stsEndpoint="http://127.0.0.1:8333"),
        "spec.storage.credentials.stsEndpoint",
        "an STS",
        "policy.stsEndpoints",
    ),
}


@pytest.mark.parametrize(("builder", "field", "noun", "setting"), LOCAL.values(), ids=LOCAL)
def test_no_wildcard_allows_a_local_address(builder: RunBuilder, field: str, noun: str, setting: str) -> None:
    everything = Policy(service_accounts=("*",), sts_endpoints=("*",), proxies=("*",))
    with pytest.raises(NotAcceptedError, match="is the pod itself") as refusal:
        storage_of(builder, everything)
    assert refusal.value.reason.name == "ForbiddenByPolicy"
    assert refusal.value.message.startswith(f"{field}: ")
    assert refusal.value.message.endswith(f"the metadata service of its cloud, not {noun}.")
    assert setting in refusal.value.full
    assert refusal.value.reason.fields == (field.removeprefix("spec."),)


UNUSUAL = {
    "proxy": ({"proxy": "http://user:word@proxy"}, "spec.storage.proxy"),
    "STS": (
        {"credentials": {"serviceAccountName": "trainingrun-s3", "stsEndpoint": "https://sts/path"}},
        "spec.storage.credentials.stsEndpoint",
    ),
}


@pytest.mark.parametrize(("storage", "field"), UNUSUAL.values(), ids=UNUSUAL)
def test_an_address_that_clients_could_read_differently_is_refused(storage: dict[str, Any], field: str) -> None:
    """The API server refuses it too; here as without its schema."""
    settings = replace(SETTINGS, policy=Policy(service_accounts=("*",), sts_endpoints=("*",), proxies=("*",)))
    with pytest.raises(NotAcceptedError) as refusal:
        resolve(a_run().spec(storage=storage).build(), settings=settings, find_run=lambda _: None)
    assert (refusal.value.reason.name, refusal.value.message.partition(":")[0]) == ("InvalidEndpoint", field)
    assert field in refusal.value.full.rpartition("Create a new TrainingRun")[2]


def test_with_both_kinds_of_credentials_both_must_be_allowed() -> None:
    """The API server refuses them together; here as without its schema."""
    both = a_run().spec(storage={"credentials": {"serviceAccountName": "trainingrun-a", "secretName": "database"}})
    policy = replace(ACCOUNTS, sts_endpoints=(ENDPOINT,))
    for asked in (both, a_run().spec(storage={"credentials": {}})):
        with pytest.raises(NotAcceptedError, match=r"spec\.storage\.credentials\.secretName: "):
            resolve(asked.build(), settings=replace(SETTINGS, policy=policy), find_run=lambda _: None)


IDENTITIES = {
    "AWS": (
        keyless(None, roleARN="arn:aws:iam::1:role/a"),
        ("arn:aws:iam::1:role/a", "https://sts.us-east-1.amazonaws.com"),
    ),
    "an STS of its own": (
        keyless(stsEndpoint="https://sts.us-gov-west-1.amazonaws.com"),
        (None, "https://sts.us-gov-west-1.amazonaws.com"),
    ),
    "the storage": (keyless(), (None, ENDPOINT)),
}


@pytest.mark.parametrize(("builder", "expected"), IDENTITIES.values(), ids=IDENTITIES)
def test_the_document_says_whom_to_ask_for_keys(builder: RunBuilder, expected: tuple[str | None, str]) -> None:
    policy = replace(ACCOUNTS, sts_endpoints=(*ACCOUNTS.sts_endpoints, ENDPOINT))
    assert storage_of(builder, policy)["webIdentity"] == dict(zip(("roleARN", "stsEndpoint"), expected, strict=True))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"type": "AES256"}, {"type": "AES256", "kmsKeyId": None}),
        ({"type": "aws:kms", "kmsKeyId": "alias/a"}, {"type": "aws:kms", "kmsKeyId": "alias/a"}),
    ],
    ids=["of the server", "of a key management service"],
)
def test_the_document_says_how_to_encrypt(asked: dict[str, str], expected: dict[str, Any]) -> None:
    assert storage_of(a_run().spec(storage={"encryption": asked}), Policy())["encryption"] == expected


def test_a_run_that_asks_for_none_of_it_has_the_document_of_an_earlier_version() -> None:
    """So the ConfigMap of a run that was accepted before is made again as it was."""
    assert storage_of(a_run(), Policy()).keys() == {
        *("endpoint", "region", "bucket", "prefix", "addressing", "caBundle", "outageToleranceSeconds"),
        "refusedNetworks",
    }


EXACT = (ENDPOINT,)
STS = "https://sts.us-east-1.amazonaws.com"
NETWORKS = {
    "exact endpoint": (a_run(), Policy(endpoints=EXACT), False),
    "exact endpoint, an STS behind a wildcard": (
        keyless(stsEndpoint=STS),
        replace(ACCOUNTS, endpoints=EXACT),
        True,
    ),
    "exact endpoint, exact STS": (
        keyless(stsEndpoint=STS),
        replace(ACCOUNTS, endpoints=EXACT, sts_endpoints=(STS,)),
        False,
    ),
    "any endpoint, exact STS": (keyless(stsEndpoint=STS), replace(ACCOUNTS, sts_endpoints=(STS,)), True),
    "exact endpoint, a proxy behind a wildcard": (
        through("http://a.corp.example:3128"),
        Policy(endpoints=EXACT, proxies=("http://*.corp.example:3128",)),
        True,
    ),
    "exact endpoint, exact proxy": (through(HELM), Policy(endpoints=EXACT, proxies=(HELM,)), False),
    "exact endpoint, the installer's proxy": (through(HELM), Policy(endpoints=EXACT), False),
    "exact endpoint, no proxy": (through("none"), Policy(endpoints=EXACT), False),
    "any endpoint, exact proxy": (through(HELM), Policy(proxies=(HELM,)), True),
}


@pytest.mark.parametrize(("builder", "policy", "refused"), NETWORKS.values(), ids=NETWORKS)
def test_local_networks_are_refused_as_soon_as_users_choose_one_host(
    builder: RunBuilder, policy: Policy, *, refused: bool
) -> None:
    found = storage_of(builder, policy, helm=HELM)["refusedNetworks"]
    assert found == (list(REFUSED_NETWORKS) if refused else [])


def test_the_installers_proxy_is_not_in_the_document() -> None:
    """It may change, and the ConfigMap of a run must be made again as it was."""
    assert storage_of(a_run(), Policy(), helm=HELM) == storage_of(a_run(), Policy())
