"""The proxy of a pod: every request to storage and to the STS goes through it, and what it refuses is explained."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fake_sts import FakeSts, token
from https_server import HttpsServer
from small_proxy import HIDDEN, SmallProxy
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, load
from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.storage import guard
from trainingrun_agent.storage.client import HEARTBEAT, PREFLIGHT, WORK, Limits
from trainingrun_agent.storage.s3 import S3Store, open_store
from trainingrun_agent.storage.web_archive import WebArchive
from trainingrun_agent.storage.writes import PART, WHOLE

pytestmark = pytest.mark.contract
REFUSED, OUTAGE = Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE
LISTING = b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
Configure = Callable[..., AgentConfig]


@pytest.fixture
def proxy() -> Iterator[SmallProxy]:
    """A proxy that lets everything through."""
    made = SmallProxy()
    yield made
    made.stop()


@pytest.fixture
def behind(moto_endpoint: str) -> str:
    """An S3 server under a name that only the proxy knows."""
    return moto_endpoint.replace("127.0.0.1", f"storage{HIDDEN}")


@pytest.fixture
def through(make_config: Configure, proxy: SmallProxy, behind: str, fresh_bucket: str) -> Configure:
    """Make the config of a pod that reaches its bucket through the proxy."""

    def make(**storage: Any) -> AgentConfig:
        config = make_config(**{"endpoint": behind, "bucket": fresh_bucket} | storage)
        return replace(config, proxy=proxy.url)

    return make


@pytest.fixture(scope="session")
def named_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the names and the address of servers and of the proxy, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    names = [x509.DNSName(f"storage{HIDDEN}"), x509.IPAddress(ip_network("127.0.0.1/32").network_address)]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("proxy") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def trust(config: AgentConfig, certificate: Path) -> None:
    assert config.ca_file is not None
    config.ca_file.write_text(certificate.read_text().partition("-----END PRIVATE KEY-----")[2])


def failure(store: S3Store) -> StageError:
    with pytest.raises(StageError) as caught:
        list(store.list("x/"))
    return caught.value


@pytest.mark.parametrize("limits", [WORK, PREFLIGHT, HEARTBEAT], ids=["work", "preflight", "heartbeat"])
def test_every_call_goes_through_the_proxy(
    through: Configure, proxy: SmallProxy, behind: str, tmp_path: Path, limits: Limits
) -> None:
    store = open_store(through(), through().resolved.storage.bucket, limits=limits)
    store.put("k", b"x", if_absent=True)
    assert store.get("k", max_bytes=1) == store.get_range("k", start=0, length=1) == b"x"
    assert store.head("k") is not None
    size = WHOLE + PART
    sha256 = store.upload("large", io.BytesIO(b"y" * size), size=size)
    assert store.download("large", tmp_path / "large", size=size, sha256=sha256) == sha256
    assert [info.key for info in store.list("")] == ["k", "large"]
    store.delete("k")
    assert {line.split()[1].partition("/bucket")[0] for line in proxy.requests} == {behind}
    assert {line.split()[0] for line in proxy.requests} == {"PUT", "GET", "HEAD", "POST", "DELETE"}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_https_endpoint_is_reached_through_a_tunnel(
    make_config: Configure, named_certificate: Path, scheme: str
) -> None:
    server = HttpsServer(named_certificate)
    server.answers["/b?list-type=2&prefix=x%2F&max-keys=1000&encoding-type=url"] = (200, {}, LISTING)
    endpoint = server.host.replace("127.0.0.1", f"storage{HIDDEN}")
    proxy = SmallProxy(named_certificate if scheme == "https" else None)
    try:
        config = replace(make_config(endpoint=endpoint, caBundle=True), proxy=proxy.url)
        trust(config, named_certificate)
        assert list(open_store(config, "b").list("x/")) == []
        assert proxy.requests == [f"CONNECT {endpoint.removeprefix('https://')}"]
        assert (len(server.requests), proxy.url.partition(":")[0]) == (1, scheme)
    finally:
        server.stop()
        proxy.stop()


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
def test_an_https_proxy_is_trusted_as_the_bundle_says(
    make_config: Configure, behind: str, fresh_bucket: str, named_certificate: Path, trusted: bool
) -> None:
    proxy = SmallProxy(named_certificate)
    try:
        config = replace(make_config(endpoint=behind, bucket=fresh_bucket, caBundle=trusted), proxy=proxy.url)
        if trusted:
            trust(config, named_certificate)
            assert list(open_store(config, fresh_bucket).list("x/")) == []
        else:
            error = failure(open_store(config, fresh_bucket, limits=PREFLIGHT))
            assert (error.outcome, error.reason) == (REFUSED, "TLSError")
            assert f"the proxy {proxy.url} cannot be spoken to" in error.message
            assert "spec.storage.proxy" in error.hint
    finally:
        proxy.stop()


def test_the_sts_is_asked_through_the_proxy(through: Configure, proxy: SmallProxy) -> None:
    sts = FakeSts()
    try:
        endpoint = sts.endpoint.replace("127.0.0.1", f"sts{HIDDEN}")
        config = through(webIdentity={"roleARN": None, "stsEndpoint": endpoint})
        config.token_file.write_text(token(now=Clock().now()))
        store = open_store(config, config.resolved.storage.bucket)
        store.put("k", b"x")
        assert store.get("k", max_bytes=1) == b"x"
        assert [line for line in proxy.requests if f"sts{HIDDEN}" in line] == [f"POST {endpoint}/"]
        assert len(sts.asked) == 1
    finally:
        sts.stop()


def test_proxies_of_the_environment_are_never_used(
    make_config: Configure, through: Configure, moto_endpoint: str, fresh_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.setenv(spelled, "*" if name == "NO_PROXY" else "http://127.0.0.1:1")
    open_store(through(), fresh_bucket).put("k", b"x")
    direct = open_store(make_config(endpoint=moto_endpoint, bucket=fresh_bucket), fresh_bucket)
    assert direct.get("k", max_bytes=1) == b"x"


WHAT = "ListObjectsV2 on s3://{bucket}/x/ at {endpoint} failed: the "


@pytest.mark.parametrize(
    ("status", "outcome", "reason", "text", "hint"),
    [
        (407, REFUSED, "ProxyRefused", "proxy {proxy} refuses the connection: 407", "without a password"),
        (502, OUTAGE, "ServerError", "proxy {proxy} does not reach the server: 502", "reachable from the proxy"),
        (503, OUTAGE, "ServerError", "proxy {proxy} does not reach the server: 503", "log of the proxy"),
        (403, REFUSED, "EndpointNotS3", "answer, which may be that of the proxy {proxy}, is not S3 (403", "lets"),
        (404, REFUSED, "EndpointNotS3", "answer, which may be that of the proxy {proxy}, is not S3 (404", "proxy"),
    ],
    ids=str,
)
def test_a_proxy_that_answers_itself_is_named(
    through: Configure,
    proxy: SmallProxy,
    behind: str,
    status: int,
    outcome: Outcome,
    reason: str,
    text: str,
    hint: str,
) -> None:
    proxy.refuse = status
    config = through()
    bucket = config.resolved.storage.bucket
    error = failure(open_store(config, bucket, limits=PREFLIGHT))
    assert (error.outcome, error.reason) == (outcome, reason)
    assert (WHAT + text).format(bucket=bucket, endpoint=behind, proxy=proxy.url) in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("status", "outcome", "reason", "text"),
    [
        (407, REFUSED, "ProxyRefused", "refuses the connection: 407 Proxy Authentication Required"),
        (403, REFUSED, "ProxyRefused", "refuses the connection: 403 Forbidden"),
        (502, OUTAGE, "ServerError", "does not reach the server: 502 Bad Gateway"),
        (504, OUTAGE, "ServerError", "does not reach the server: 504 Gateway Timeout"),
    ],
    ids=str,
)
@pytest.mark.parametrize("asked", ["storage", "STS"])
def test_a_tunnel_that_is_refused_is_explained(
    through: Configure,
    proxy: SmallProxy,
    asked: str,
    status: int,
    outcome: Outcome,
    reason: str,
    text: str,
) -> None:
    proxy.refuse = status
    config = through(
        endpoint=f"https://storage{HIDDEN}:1",
        **({"webIdentity": {"roleARN": None, "stsEndpoint": f"https://sts{HIDDEN}:2"}} if asked == "STS" else {}),
    )
    (config.credentials_dir / "token").write_text("a.b.signature")
    error = failure(open_store(config, "detectors", limits=PREFLIGHT))
    assert (error.outcome, error.reason) == (outcome, reason)
    assert error.message.startswith("AssumeRoleWithWebIdentity at " if asked == "STS" else "ListObjectsV2 on ")
    assert f" failed: the proxy {proxy.url} {text}" in error.message
    assert f"{'sts' if asked == 'STS' else 'storage'}{HIDDEN}" in proxy.requests[0]


def test_a_page_of_a_proxy_in_place_of_the_sts_names_the_proxy(through: Configure, proxy: SmallProxy) -> None:
    proxy.refuse = 403
    identity = {"webIdentity": {"roleARN": None, "stsEndpoint": f"http://sts{HIDDEN}:2"}}
    config = through(endpoint=f"http://storage{HIDDEN}:1", **identity)
    (config.credentials_dir / "token").write_text("a.b.signature")
    error = failure(open_store(config, "detectors", limits=PREFLIGHT))
    assert error.reason == "WebIdentityRefused"
    assert error.message.endswith(f"may be that of the proxy {proxy.url}, is not that of an STS (403)")
    assert "for another proxy, create a new TrainingRun with another spec.storage.proxy" in error.hint


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("asked", ["storage", "STS"])
def test_a_proxy_that_is_away_is_an_outage(through: Configure, scheme: str, asked: str, fake_clock: Clock) -> None:
    url = f"http://127.0.0.1:{_closed_port()}"
    identity = {"webIdentity": {"roleARN": None, "stsEndpoint": f"{scheme}://sts{HIDDEN}"}} if asked == "STS" else {}
    config = replace(through(endpoint=f"{scheme}://storage{HIDDEN}", **identity), proxy=url)
    (config.credentials_dir / "token").write_text("a.b.signature")
    error = failure(open_store(config, "detectors", limits=PREFLIGHT))
    assert (error.outcome, error.reason) == (OUTAGE, "EndpointUnreachable")
    assert f"the proxy {url} cannot be reached: " in error.message
    assert error.message.endswith("Connection refused")
    assert "Check that the proxy, which spec.storage.proxy or your platform team has named, is right" in error.hint


def test_a_proxy_without_an_address_is_an_outage(through: Configure) -> None:
    config = replace(through(), proxy="http://proxy.invalid:3128")
    error = failure(open_store(config, "detectors", limits=PREFLIGHT))
    assert (error.outcome, error.reason) == (OUTAGE, "EndpointUnreachable")
    assert "the proxy http://proxy.invalid:3128 cannot be reached: Failed to resolve 'proxy.invalid'" in error.message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_in_a_refused_network_is_refused(through: Configure, proxy: SmallProxy, scheme: str) -> None:
    config = through(endpoint=f"{scheme}://storage{HIDDEN}")
    with guard.refuse_connections([ip_network("127.0.0.0/8")]):
        error = failure(open_store(config, "detectors", limits=PREFLIGHT))
    assert (error.outcome, error.reason) == (REFUSED, "AddressRefused")
    assert error.message.startswith(f"spec.storage.proxy: {proxy.url} leads to 127.0.0.1, which is the pod itself")
    assert proxy.requests == []


def test_obstore_is_not_used_with_a_proxy(through: Configure) -> None:
    """It would follow redirects to other hosts: only a proxy that leads nowhere prevents them."""
    config = through()
    assert open_store(config, config.resolved.storage.bucket)._bulk is None


class Weights:
    """Weights at an https address that only the proxy knows."""

    def __init__(self, server: HttpsServer, certificate: Path, path: Path) -> None:
        self.url = f"{server.host.replace('127.0.0.1', f'storage{HIDDEN}')}/a.tar.gz"
        self.path, self._certificate = path, certificate
        server.answers["/a.tar.gz"] = (200, {}, b"archive")

    def fetch(self, proxy: str | None, url: str = "", **options: Any) -> bytes:
        archive = WebArchive(url or self.url, ca_file=self._certificate, proxy=proxy, **options)
        archive.download(self.path, limit=100, on_size=lambda _: None, on_bytes=lambda _: None)
        return self.path.read_bytes()


@pytest.fixture
def weights(named_certificate: Path, tmp_path: Path) -> Iterator[Weights]:
    """Weights that a run names."""
    server = HttpsServer(named_certificate)
    yield Weights(server, named_certificate, tmp_path / "a.tar.gz")
    server.stop()


def test_weights_are_downloaded_through_the_proxy(weights: Weights, proxy: SmallProxy, named_certificate: Path) -> None:
    assert weights.fetch(proxy.url) == b"archive"
    assert proxy.requests == [f"CONNECT {weights.url.removeprefix('https://').removesuffix('/a.tar.gz')}"]
    encrypted = SmallProxy(named_certificate)
    try:
        assert weights.fetch(encrypted.url) == b"archive"
        assert encrypted.requests == proxy.requests
    finally:
        encrypted.stop()


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_does_not_connect_to_the_host_of_weights_is_named(
    weights: Weights, proxy: SmallProxy, status: int
) -> None:
    proxy.refuse = status
    with pytest.raises(StageError) as caught:
        weights.fetch(proxy.url)
    assert caught.value.reason == "PretrainedUnreachable"
    assert f"cannot be fetched: the proxy {proxy.url} does not connect to the host: {status} " in caught.value.message


def test_a_proxy_that_is_away_is_named_for_weights(weights: Weights) -> None:
    url = f"http://127.0.0.1:{_closed_port()}"
    with pytest.raises(StageError, match=f"the proxy {url} cannot be reached: Connection refused") as caught:
        weights.fetch(url)
    assert caught.value.reason == "PretrainedUnreachable"


def test_refused_networks_are_not_reached_through_the_proxy_by_address(weights: Weights, proxy: SmallProxy) -> None:
    with pytest.raises(StageError) as caught:
        weights.fetch(proxy.url, "https://169.254.169.254/latest", refused=[ip_network("169.254.0.0/16")])
    assert (caught.value.reason, proxy.requests) == ("PretrainedUnusable", [])
    with pytest.raises(StageError, match=f"the proxy {proxy.url} leads to 127.0.0.1, where no proxy can be"):
        weights.fetch(proxy.url, refused=[ip_network("127.0.0.0/8")])
    assert proxy.requests == []


def test_proxies_of_the_environment_are_not_used_for_weights(
    weights: Weights, proxy: SmallProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("https_proxy", proxy.url)
    with pytest.raises(StageError, match="its host has no address"):
        weights.fetch(None)
    assert proxy.requests == []


def test_each_proxy_has_its_variable(make_config: Configure, agent_paths: Any) -> None:
    make_config()
    env = {"POD_UID": "pod", "TRAININGRUN_STORAGE_PROXY": "http://a:1", "TRAININGRUN_WEB_PROXY": "http://b:2"}
    for variables, expected in ((env, ("http://a:1", "http://b:2")), ({"POD_UID": "pod"}, (None, None))):
        config = load(variables, stage="prep", paths=agent_paths)
        assert (config.proxy, config.web_proxy) == expected
