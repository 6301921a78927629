"""Names that resolve to the pod itself or to its cloud's metadata: no connection is made, and the error says why."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import Outcome, StorageRefused
from trainingrun_agent.runner import run
from trainingrun_agent.storage import guard
from trainingrun_agent.storage.s3 import open_store

pytestmark = pytest.mark.contract
NAME = "storage"
REFUSED = [ip_network(text) for text in ("127.0.0.2/32", "169.254.0.0/16", "fd00:ec2::/32", "::/96")]
Resolve = Callable[..., None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Make the name resolve to these answers: one per look-up, the last one repeatedly."""
    real = socket.getaddrinfo

    def lead_to(*answers: Sequence[str]) -> None:
        left = list(answers)

        def look_up(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
            if host != NAME:
                return real(host, port, *arguments, **options)
            addresses = left.pop(0) if len(left) > 1 else left[0]
            return [info for address in addresses for info in real(address, port, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return lead_to


@pytest.fixture
def named(make_config: Callable[..., AgentConfig], moto_endpoint: str, fresh_bucket: str) -> AgentConfig:
    """A config whose endpoint is the S3 server under the name."""
    return make_config(endpoint=moto_endpoint.replace("127.0.0.1", NAME), bucket=fresh_bucket)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (["169.254.169.254"], "169.254.169.254"),
        (["::ffff:169.254.169.254"], "169.254.169.254"),
        (["fd00:ec2::254"], "fd00:ec2::254"),
        (["::1"], "::1"),
        (["127.0.0.2", "169.254.169.254"], "169.254.169.254"),
    ],
    ids=["metadata", "mapped", "metadata by IPv6", "itself", "several"],
)
def test_a_name_that_leads_to_a_refused_network_is_refused(
    resolve: Resolve, named: AgentConfig, answer: list[str], shown: str
) -> None:
    resolve(answer)
    with guard.refuse_connections(REFUSED), pytest.raises(StorageRefused) as caught:
        list(open_store(named, named.resolved.storage.bucket).list(""))
    endpoint = named.resolved.storage.endpoint
    assert (caught.value.outcome, caught.value.reason) == (Outcome.STORAGE_REFUSED, "AddressRefused")
    assert caught.value.message == (
        f"spec.storage.endpoint: {endpoint} leads to {shown}, which is the pod itself, its node or the metadata "
        "service of its cloud, not storage"
    )
    assert caught.value.hint == (
        "If the endpoint is wrong, create a new TrainingRun with another spec.storage.endpoint; if its DNS entry is,"
        " correct that and raise spec.retry. If your storage really has this address, ask your platform team to allow"
        " it in policy.endpoints of the operator's Helm values."
    )


def test_a_name_that_resolves_differently_the_second_time_gains_nothing(resolve: Resolve, named: AgentConfig) -> None:
    resolve(["127.0.0.1"], ["127.0.0.2"])
    bucket = named.resolved.storage.bucket
    with guard.refuse_connections(REFUSED):
        assert list(open_store(named, bucket).list("")) == []
        with pytest.raises(StorageRefused, match=r"leads to 127\.0\.0\.2"):
            list(open_store(named, bucket).list(""))


def test_the_guard_ends_with_its_block(resolve: Resolve, named: AgentConfig) -> None:
    resolve(["127.0.0.1"])
    loopback = [ip_network("127.0.0.0/8")]
    bucket = named.resolved.storage.bucket
    with guard.refuse_connections(loopback), pytest.raises(StorageRefused):
        list(open_store(named, bucket).list(""))
    assert list(open_store(named, bucket).list("")) == []


def test_a_connection_by_host_name_is_refused() -> None:
    with guard.refuse_connections(REFUSED), socket.socket() as client, pytest.raises(guard.AddressRefusedError):
        client.connect(("localhost", 9))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    make_config: Callable[..., AgentConfig], canned_server: Any, moto_endpoint: str, status: int
) -> None:
    """Otherwise a server that policy allows could redirect agents to any address."""
    canned_server.answers = [(status, "")]
    canned_server.location = f"{moto_endpoint}/detectors"
    config = make_config(endpoint=canned_server.endpoint)
    with pytest.raises(StorageRefused) as caught:
        list(open_store(config, "detectors").list(""))
    assert f" at {canned_server.endpoint} failed: {status}" in caught.value.message
    assert len(canned_server.requests) == 1


@pytest.mark.parametrize("command", ["prep", "mirror"])
def test_every_command_refuses_the_networks_that_the_operator_lists(
    resolve: Resolve,
    make_config: Callable[..., AgentConfig],
    document: dict[str, Any],
    moto_endpoint: str,
    command: Any,
) -> None:
    resolve(["127.0.0.1"])
    document["storage"]["refusedNetworks"] = ["127.0.0.0/8"]
    config = make_config(command, endpoint=moto_endpoint.replace("127.0.0.1", NAME))
    seen: list[str] = []

    def main(context: Any) -> Any:
        try:
            list(context.out.list(""))
        finally:
            seen.append(str(guard._guard.refused))

    run(command, env={"POD_UID": "p" * 8}, paths=config.paths, port=0, main=main)
    assert seen == ["(IPv4Network('127.0.0.0/8'),)"]
    assert guard._guard.refused == ()
    if command == "prep":
        assert '"reason":"AddressRefused"' in config.paths.termination_log.read_text()
