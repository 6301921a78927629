"""Storage endpoints: each spelling of a local address is refused, and a pattern matches nothing unexpected."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from trainingrun.api.settings import Policy
from trainingrun.domain import endpoints
from trainingrun.domain.endpoints import REFUSED_NETWORKS
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import resolve
from trfakes.builders import SETTINGS, RunBuilder, a_run


def networks(endpoint: str | None, *patterns: str) -> list[str]:
    """Networks that the agents of an accepted run refuse."""
    storage = {**a_run().build().spec["storage"], "endpoint": endpoint}
    if endpoint is None:
        del storage["endpoint"]
    builder = RunBuilder().without("storage").spec(storage=storage)
    settings = replace(SETTINGS, policy=Policy(endpoints=patterns or ("*",)))
    document = resolve(builder.build(), settings=settings, find_run=lambda _: None)
    found: list[str] = document["storage"]["refusedNetworks"]
    return found


def refusal(endpoint: str | None, *patterns: str) -> NotAcceptedError:
    with pytest.raises(NotAcceptedError) as caught:
        networks(endpoint, *patterns)
    return caught.value


LOCAL = """
http://169.254.169.254 http://169.254.169.254:80 https://169.254.169.254:8443 HTTP://169.254.169.254
http://169.254.169.254. http://169.254.170.2 http://[::ffff:169.254.169.254] http://[::ffff:a9fe:a9fe]
http://[0:0:0:0:0:FFFF:A9FE:A9FE]:80 http://[::169.254.169.254] http://[::a9fe:a9fe] http://[64:ff9b::a9fe:a9fe]
http://[fd00:ec2::254] http://[FD00:0EC2:0:0::254] http://[fd20:ce::254] http://[fe80::1] http://[::1]:9000 http://[::]
http://[::ffff:127.0.0.1] http://127.0.0.1:9000 http://127.1.2.3 http://0.0.0.0 http://168.63.129.16
http://100.100.100.200 http://192.0.0.192 http://localhost http://LocalHost:9000 http://s3.localhost http://localhost.
http://metadata.google.internal http://METADATA.google.INTERNAL. https://metadata.google.internal:443
http://x.metadata.google.internal http://metadata.goog http://instance-data.ec2.internal
"""
MALFORMED = """
http://2852039166 http://0xa9fea9fe http://0XA9FEA9FE http://025177524776 http://0251.0376.0251.0376
http://169.254.43518 http://169.16689662 http://169.254.169.0xfe http://0xa9.254.169.254 http://169.254.169.254.5
http://0 http://0x http://127.1 http://017700000001 http://00169.254.169.254 http://256.1.1.1
http://user@169.254.169.254 http://s3.good@169.254.169.254 http://s3.good:80@evil.com http://s3.good%40evil.com
http://evil.com#s3.good http://evil.com?s3.good http://evil.com/s3.good http://evil.com\\@s3.good http://s3.good/
http://s3..good http://.s3.good http://s3.good.. http://-s3.good http://s3.good:0 http://s3.good:65536 http://s3.good:
http:///s3.good http:s3.good //s3.good ftp://s3.good http://[fe80::1%25eth0] http://[::1 http://[s3.good]
http://s3\u3002good http://\uff11\uff16\uff19.254.169.254
"""


@pytest.mark.parametrize("endpoint", LOCAL.split())
@pytest.mark.parametrize("pattern", ["*", "*://*", "*://*:*"])
def test_a_local_address_is_refused_in_every_spelling(endpoint: str, pattern: str) -> None:
    assert refusal(endpoint, pattern).reason.name == "ForbiddenByPolicy"


@pytest.mark.parametrize("endpoint", [*MALFORMED.split(), "http://s3.good\n", " http://s3.good", "http://s3 .good"])
def test_what_clients_could_read_differently_is_refused(endpoint: str) -> None:
    found = refusal(endpoint)
    assert found.reason.name == "InvalidEndpoint"
    assert found.message.startswith(f"spec.storage.endpoint: {endpoint!r} has ") or (
        found.message == f"spec.storage.endpoint: {endpoint!r} is not http://host[:port] or https://host[:port]."
    )


def test_messages_about_refused_addresses() -> None:
    assert refusal("http://169.254.169.254").full == (
        "spec.storage.endpoint: 'http://169.254.169.254' is the pod itself, its node or the metadata service of its "
        "cloud, not storage. Create a new TrainingRun with the address of your storage. If your storage really has "
        "this address, ask your platform team to allow it, without a wildcard in its host, in policy.endpoints of the "
        "operator's Helm values."
    )
    assert refusal("http://0251.0376.0251.0376").full == (
        "spec.storage.endpoint: 'http://0251.0376.0251.0376' has no IP address in its usual form, such as 10.0.0.1 or "
        "[fd00::1]. Create a new TrainingRun with spec.storage.endpoint as http://host:port or https://host:port."
    )


@pytest.mark.parametrize(
    ("endpoint", "pattern"),
    [
        ("http://169.254.20.10:9000", "http://169.254.20.10:9000"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:*"),
        ("http://[::FFFF:169.254.20.10]:9000", "*://169.254.20.10:9000"),
        ("http://s3.node.example", "http://s3.node.example"),
        ("http://[fd00:ec2:0::1]:9000", "http://[fd00:ec2::1]:9000"),
    ],
)
def test_an_endpoint_that_the_platform_team_names_may_be_anywhere(endpoint: str, pattern: str) -> None:
    assert networks(endpoint, "https://*", pattern) == []


@pytest.mark.parametrize("pattern", ["*", "http://*.good", "http://s*.good", "*://*:80"])
def test_behind_a_wildcard_agents_refuse_local_addresses(pattern: str) -> None:
    assert networks("http://s3.good", pattern) == list(REFUSED_NETWORKS)


@pytest.mark.parametrize(
    ("pattern", "endpoint", "covered"),
    [
        ("http://s3.good", "http://s3.good", True),
        ("http://s3.good", "http://S3.Good.:80", True),
        ("http://S3.good:80", "http://s3.good", True),
        ("http://s3.good", "http://s3.good:9000", False),
        ("http://s3.good:*", "http://s3.good:9000", True),
        ("https://s3.good", "http://s3.good", False),
        ("*://s3.good:9000", "https://s3.good:9000", True),
        ("http://s3.good*", "http://s3.good.evil.com", False),
        ("http://s3.good*", "http://s3.goodness", True),
        ("http://s3.good*", "http://s3.good:9000", False),
        ("https://*.good", "https://a.b.good", True),
        ("https://*.good", "https://good", False),
        ("https://*.good", "https://evilgood", False),
        ("https://*.good", "https://a.good.evil.com", False),
        ("https://s3.*.amazonaws.com", "https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.*.amazonaws.com", "https://s3.a.evil.amazonaws.com", False),
        ("http://10.0.*.*:9000", "http://10.0.1.2:9000", True),
        ("http://10.0.*.*", "http://10.0.evil.com", False),
        ("http://10.0.0.*", "http://[::ffff:10.0.0.7]", True),
        ("http://[fd00::1]:9000", "http://[fd00:0:0::1]:9000", True),
        ("http://[fd00::1]:9000", "http://[fd00::2]:9000", False),
        ("https://*", "https://anything.example:8443", True),
        ("https://*", "http://anything.example", False),
        ("*", "http://anything.example:8443", True),
        ("s3.good", "http://s3.good", False),
        ("http://s3.good/", "http://s3.good", False),
        ("http://s3.[g]ood", "http://s3.good", False),
    ],
)
def test_a_pattern_covers_what_it_says_and_no_more(pattern: str, endpoint: str, covered: bool) -> None:
    assert endpoints.allows(pattern, endpoints.parse(endpoint)) is covered


def test_an_endpoint_outside_the_list_is_refused() -> None:
    found = refusal("http://s3.good.evil.com", "http://s3.good*", "https://aws.example")
    assert (found.reason.name, found.waits) == ("ForbiddenByPolicy", False)
    assert found.full == (
        "spec.storage.endpoint: 'http://s3.good.evil.com' is not allowed here; allowed: http://s3.good*, "
        "https://aws.example. Create a new TrainingRun with an allowed value, or ask your platform team to extend "
        "policy.endpoints of the operator's Helm values."
    )


def test_leaving_the_endpoint_out_is_no_way_around_the_list() -> None:
    assert refusal(None, "https://s3.good").full == (
        "spec.storage.endpoint: https://s3.us-east-1.amazonaws.com (the default, AWS) is not allowed here; allowed: "
        "https://s3.good. Create a new TrainingRun with an allowed value, or ask your platform team to extend "
        "policy.endpoints of the operator's Helm values."
    )
    assert networks(None, "https://s3.*.amazonaws.com") == list(REFUSED_NETWORKS)


def test_refused_networks_are_networks() -> None:
    assert [str(ip_network(text)) for text in REFUSED_NETWORKS] == list(REFUSED_NETWORKS)
