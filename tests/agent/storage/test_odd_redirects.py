"""Redirects, proxies and addresses of buckets: each answer has the reason with its remedy, and none is followed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from odd_answers import FAST, OUTAGE, Call, Odd, check, delete, download, get, head, listing, put, small_upload
from refusing_s3 import HTML, RefusingServer, document
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StageError, StorageOutage, StorageRefused
from trainingrun_agent.storage.client import WORK
from trainingrun_agent.storage.s3 import S3Store, open_store

pytestmark = pytest.mark.contract
OF_AWS = "The bucket you are attempting to access must be addressed using the specified endpoint."
EXPECTED = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'"
ODD = {
    # Addressing
    "Alibaba": Odd(
        403, document("SecondLevelDomainForbidden"), "PathStyleRefused", "with spec.storage.addressing: virtual"
    ),
    "Tencent": Odd(403, document("PathStyleDomainForbidden"), "PathStyleRefused", "spec.storage.addressing: virtual"),
    "Huawei": Odd(403, document("VirtualHostDomainRequired"), "PathStyleRefused", "spec.storage.addressing: virtual"),
    "Volcano": Odd(403, document("InvalidPathAccess"), "PathStyleRefused", "spec.storage.addressing: virtual"),
    "endpoint with the bucket": Odd(
        301,
        document("PermanentRedirect", OF_AWS, Endpoint="detectors.127.0.0.1"),
        "PathStyleRefused",
        "spec.storage.addressing: virtual",
    ),
    "endpoint with the bucket, 400": Odd(
        400, document("InvalidRequest", OF_AWS, Endpoint="detectors.127.0.0.1"), "PathStyleRefused", "virtual"
    ),
    # Redirects
    "https": Odd(
        308,
        HTML,
        "EndpointRedirects",
        'with spec.storage.endpoint: "https://s3.example.com"',
        headers={"Location": "https://s3.example.com/detectors/k?secret=token#x"},
        message="it is redirected to https://s3.example.com",
    ),
    "another port": Odd(
        307,
        "",
        "EndpointRedirects",
        'spec.storage.endpoint: "http://10.0.0.2:9000"',
        headers={"Location": "http://user:password@10.0.0.2:9000/detectors/k"},
        message="redirected to http://10.0.0.2:9000",
    ),
    "IPv6": Odd(
        302,
        "",
        "EndpointRedirects",
        'spec.storage.endpoint: "http://[fd00::1]:9000"',
        headers={"Location": "http://[fd00::1]:9000/"},
    ),
    "another node, 303": Odd(
        303, "", "EndpointRedirects", "http://node-2", headers={"Location": "http://node-2/"}, call=listing
    ),
    "a bucket's host": Odd(
        301,
        "",
        "EndpointRedirects",
        'spec.storage.endpoint: "https://s3.example.com"',
        headers={"Location": "https://detectors.s3.example.com/k"},
        message="redirected to https://detectors.s3.example.com",
    ),
    "no address": Odd(302, HTML, "EndpointNotS3", "spec.storage.endpoint", headers={"Location": "https://[x/"}),
    "another scheme": Odd(302, HTML, "EndpointNotS3", "endpoint", headers={"Location": "file:///etc/passwd"}),
    "a page of its own": Odd(302, HTML, "EndpointNotS3", "spec.storage.endpoint", headers={"Location": "/login"}),
    "a long address": Odd(302, HTML, "EndpointNotS3", "endpoint", headers={"Location": f"https://{'a' * 9000}/"}),
    "Alibaba's other region": Odd(
        403,
        document("AccessDenied", OF_AWS, Endpoint="oss-cn-hangzhou.aliyuncs.com"),
        "EndpointRedirects",
        'spec.storage.endpoint: "http://oss-cn-hangzhou.aliyuncs.com"',
    ),
    "a region in the header": Odd(
        301,
        document("PermanentRedirect"),
        "WrongRegion",
        "spec.storage.region: eu-west-1",
        headers={"x-amz-bucket-region": "eu-west-1"},
    ),
    "a region for HEAD": Odd(
        400, "", "WrongRegion", "region: eu-west-1", call=head, headers={"x-amz-bucket-region": "eu-west-1"}
    ),
    "a region of the signature": Odd(
        400, document("AuthorizationHeaderMalformed", EXPECTED), "WrongRegion", "spec.storage.region: eu-west-1"
    ),
    "a region of the document": Odd(
        400,
        document("AuthorizationHeaderMalformed", "region", Region="eu-west-1"),
        "WrongRegion",
        "spec.storage.region: eu-west-1",
    ),
    "a region of the host": Odd(
        301,
        document("PermanentRedirect", OF_AWS, Endpoint="detectors.s3.eu-west-1.amazonaws.com"),
        "WrongRegion",
        "spec.storage.region: eu-west-1",
    ),
    "no region": Odd(
        301,
        document("PermanentRedirect"),
        "WrongRegion",
        "another spec.storage.region",
        headers={"x-amz-bucket-region": "a b"},
    ),
    "a bad key, not a region": Odd(
        400,
        document("AuthorizationHeaderMalformed", "a non-empty Access Key (AKID) must be provided in the credential"),
        "InvalidCredentials",
        "AWS_ACCESS_KEY_ID",
    ),
    "a new bucket": Odd(
        307,
        document("TemporaryRedirect", "no", Endpoint="detectors.s3.eu-west-1.amazonaws.com"),
        "ServerError",
        "name of a new bucket is known everywhere",
        OUTAGE,
        headers={"Location": "https://detectors.s3.eu-west-1.amazonaws.com/k"},
    ),
    # Proxies and login pages
    "proxy wants a password": Odd(
        407, HTML, "ProxyRefused", "another spec.storage.proxy", headers={"Proxy-Authenticate": "Basic"}
    ),
    "login page": Odd(511, HTML, "ProxyRefused", "spec.storage.proxy", call=listing),
    "proxy forbids": Odd(
        403,
        HTML,
        "ProxyRefused",
        "without a password",
        headers={"Server": "squid/6.6", "X-Squid-Error": "ERR_ACCESS_DENIED 0"},
        message="a proxy between the pod and the storage refuses it (403, from squid/6.6)",
    ),
    "proxy forbids HEAD": Odd(403, "", "ProxyRefused", "proxy", headers={"Server": "squid/6.6"}, call=head),
    "proxy passes HEAD on": Odd(403, "", "AccessDenied", "s3:GetObject", headers={"Via": "1.1 squid"}, call=head),
    "proxy without server": Odd(
        503, HTML, "ServerError", "The proxy does not get an answer", OUTAGE, headers={"Via": "1.1 gate (squid/6.6)"}
    ),
    "proxy in time": Odd(504, HTML, "ServerError", "The proxy does not", OUTAGE, headers={"Server": "squid"}),
    "proxy passes S3 on": Odd(403, document("AccessDenied"), "AccessDenied", "s3:PutObject", headers={"Via": "1.1 x"}),
    "gateway": Odd(
        502, HTML, "ServerError", "log of the storage", OUTAGE, headers={"Server": "nginx"}, message=", from nginx"
    ),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_each_redirect_and_proxy_has_the_reason_with_its_remedy(
    refusing: RefusingServer, open_at: Callable[..., S3Store], odd: Odd
) -> None:
    check(odd, refusing, open_at)


@pytest.fixture
def other() -> Iterator[RefusingServer]:
    """A server that agents are redirected to, which would answer."""
    made = RefusingServer()
    made.status, made.headers = 200, {"ETag": '"e"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    yield made
    made.stop()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["another host", "another port"])
@pytest.mark.parametrize("call", [put, get, head, listing, delete], ids=lambda call: str(call.__name__))
def test_no_redirect_is_followed(
    refusing: RefusingServer, other: RefusingServer, open_at: Callable[..., S3Store], status: int, host: str, call: Call
) -> None:
    refusing.status, refusing.headers = status, {"Location": f"http://{host}:{other.port}/k"}
    with pytest.raises(StorageRefused) as caught:
        call(open_at())
    assert caught.value.reason == "EndpointRedirects"
    assert f"http://{host}:{other.port}" in caught.value.hint
    assert (len(refusing.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [get, small_upload, download], ids=lambda call: str(call.__name__))
def test_obstore_follows_no_redirect_to_another_host_and_takes_no_signature_to_another_port(
    refusing: RefusingServer, other: RefusingServer, open_at: Callable[..., S3Store], status: int, call: Call
) -> None:
    refusing.status, refusing.headers = status, {"Location": f"http://localhost:{other.port}/k"}
    with pytest.raises(StorageRefused, match="EndpointRedirects"):
        call(open_at(WORK))
    assert other.requests == []
    refusing.headers = {"Location": f"http://127.0.0.1:{other.port}/k"}
    with suppress(StageError):
        call(open_at(WORK))
    assert [sent for sent in other.request_headers if "authorization" in sent] == []


def test_a_certificate_without_the_names_of_buckets_says_so(
    make_config: Callable[..., AgentConfig], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *more, **named: look_up("127.0.0.1", *more, **named))
    made = RefusingServer()
    made.http.socket = context.wrap_socket(made.http.socket, server_side=True)
    config = make_config(endpoint=f"https://s3.example:{made.port}", addressing="virtual", caBundle=True)
    assert config.ca_file is not None
    config.ca_file.write_text(certificate.read_text().partition("-----END PRIVATE KEY-----")[2])
    with pytest.raises(StorageRefused, match=r"detectors\.s3\.example") as caught:
        listing(open_store(config, "detectors", limits=FAST))
    made.stop()
    assert caught.value.reason == "TLSError"
    assert "certificate is not for the bucket's host name" in caught.value.hint
    assert "another spec.storage.addressing" in caught.value.hint


def test_virtual_addressing_without_names_of_buckets_says_so(
    make_config: Callable[..., AgentConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(endpoint="http://localhost:9", addressing="virtual")
    _without_name(monkeypatch, "detectors.localhost")
    with pytest.raises(StorageOutage) as caught:
        listing(open_store(config, "detectors", limits=FAST))
    error = caught.value
    assert (error.reason, error.outcome) == ("EndpointUnreachable", OUTAGE)
    assert error.hint.startswith("The host localhost has an address, but none with the bucket before it.")
    assert "another spec.storage.addressing" in error.hint


def test_a_host_that_has_no_address_at_all_is_not_a_matter_of_addressing(
    make_config: Callable[..., AgentConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(endpoint="http://s3.invalid:9", addressing="virtual")
    _without_name(monkeypatch, "detectors.s3.invalid", "s3.invalid")
    with pytest.raises(StorageOutage) as caught:
        listing(open_store(config, "detectors", limits=FAST))
    assert "addressing" not in caught.value.hint


def _without_name(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    look_up = socket.getaddrinfo

    def unknown(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
