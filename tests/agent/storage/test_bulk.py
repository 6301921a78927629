"""Bulk transfer with obstore: the same objects and server as with boto3, which takes over when obstore fails."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import ObjectChanged, StorageRefused
from trainingrun_agent.storage.bulk import MAX_FAILURES, PAUSE_SECONDS, BulkError, BulkStore, open_bulk
from trainingrun_agent.storage.client import WORK
from trainingrun_agent.storage.s3 import S3Store, open_store
from trainingrun_agent.storage.web_identity import credentials_of

pytestmark = pytest.mark.contract


def bulk_of(config: AgentConfig, *, endpoint: str = "", bucket: str = "") -> BulkStore:
    storage = config.resolved.storage
    bulk = open_bulk(
        config,
        bucket or storage.bucket,
        credentials_of(config),
        endpoint=endpoint or str(storage.endpoint),
        limits=WORK._replace(connect=2),
        clock=Clock(),
    )
    assert bulk is not None
    return bulk


def content(bulk: BulkStore, key: str) -> bytes:
    with bulk.part(key) as part:
        return b"".join(part.chunks)


class Listener:
    """A server that records its requests, and answers each with the same status and headers."""

    def __init__(
        self, status: int, headers: dict[str, str], body: bytes = b"", *, certificate: Path | None = None
    ) -> None:
        self.requests: list[str] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                listener.requests.append(f"{self.command} {self.headers['Host'].partition(':')[0]}{self.path}")
                self.send_response_only(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = answer  # noqa: N815 - the library's names

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    started: list[Listener] = []

    def start(*arguments: Any, certificate: Path | None = None) -> Listener:
        started.append(Listener(*arguments, certificate=certificate))
        return started[-1]

    yield start
    for listener in started:
        listener.http.shutdown()
        listener.http.server_close()


OBJECT = {"ETag": '"e"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}


@pytest.mark.parametrize(
    ("endpoint", "refused", "used"),
    [
        ("http://s3.storage:7070", ("169.254.0.0/16",), False),
        ("http://s3.storage:7070", (), True),
        ("https://s3.example.com", ("169.254.0.0/16",), True),
        ("http://10.0.0.1:7070", ("169.254.0.0/16",), True),
        ("http://[fd00::1]:7070", ("169.254.0.0/16",), True),
    ],
    ids=["name over http", "name that policy allows", "name over TLS", "address", "IPv6 address"],
)
def test_a_name_that_could_lead_to_a_refused_network_is_left_to_guarded_sockets(
    s3_config: AgentConfig, endpoint: str, refused: tuple[str, ...], used: bool
) -> None:
    storage = replace(s3_config.resolved.storage, refused_networks=tuple(ip_network(text) for text in refused))
    config = replace(s3_config, resolved=replace(s3_config.resolved, storage=storage))
    bulk = open_bulk(config, storage.bucket, credentials_of(config), endpoint=endpoint, limits=WORK, clock=Clock())
    assert (bulk is not None) is used


@pytest.mark.parametrize("key", ["plain", "a b+é.jpg", "100%.jpg", "%41", "a#b?c&d=e", "日本/x"], ids=ascii)
def test_any_key_is_the_same_object_for_obstore_and_boto3(s3_store: S3Store, s3_config: AgentConfig, key: str) -> None:
    bulk = bulk_of(s3_config)
    s3_store.put(key, b"by boto3")
    assert bulk.get(key, max_bytes=8)[0] == b"by boto3"
    assert content(bulk, key) == b"by boto3"
    bulk.put(key, b"by obstore")
    assert s3_store.get(key, max_bytes=10) == b"by obstore"


@pytest.mark.parametrize("key", ["/a", "a//b", "a/", ""], ids=ascii)
def test_a_key_that_obstore_would_shorten_is_left_to_boto3(s3_config: AgentConfig, key: str) -> None:
    with pytest.raises(BulkError):
        bulk_of(s3_config).get(key, max_bytes=1)


def test_reads_are_bounded(s3_store: S3Store, s3_config: AgentConfig) -> None:
    s3_store.put("k", b"12345")
    with pytest.raises(BulkError):
        bulk_of(s3_config).get("k", max_bytes=4)


def test_the_environment_does_not_redirect(
    s3_store: S3Store, s3_config: AgentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    bulk_of(s3_config).put("k", b"x")
    assert s3_store.get("k", max_bytes=1) == b"x"


def test_a_redirect_to_another_host_is_not_followed(
    make_config: Callable[..., AgentConfig], listen: Callable[..., Listener]
) -> None:
    inside = listen(200, OBJECT, b"secret")
    server = listen(302, {"Location": f"http://localhost:{inside.port}/meta-data"})
    bulk = bulk_of(make_config(endpoint=f"http://127.0.0.1:{server.port}"))
    with pytest.raises(BulkError):
        bulk.get("k", max_bytes=10)
    with pytest.raises(BulkError):
        bulk.put("k", b"x")
    assert (len(server.requests), inside.requests) == (2, [])


def test_virtual_addressing_puts_the_bucket_into_the_host(make_config: Callable[..., AgentConfig]) -> None:
    bulk = bulk_of(make_config(endpoint="https://s3.example:9000", addressing="virtual"))
    assert bulk._store.config["endpoint_url_s3"] == "https://detectors.s3.example:9000"


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
def test_tls_trusts_what_boto3_trusts(
    make_config: Callable[..., AgentConfig], listen: Callable[..., Listener], certificate: Path, trusted: bool
) -> None:
    server = listen(200, OBJECT, b"x", certificate=certificate)
    config = make_config(endpoint=f"https://127.0.0.1:{server.port}", caBundle=trusted)
    if trusted:
        assert config.ca_file is not None
        config.ca_file.write_text(certificate.read_text().partition("-----END PRIVATE KEY-----")[2])
        assert bulk_of(config).get("k", max_bytes=1)[0] == b"x"
    else:
        with pytest.raises(BulkError) as caught:
            bulk_of(config).get("k", max_bytes=1)
        assert "UnknownIssuer" in str(caught.value.__cause__)


def test_failed_calls_fall_back_to_boto3_which_soon_does_all_until_a_rotated_key_has_arrived(
    make_config: Callable[..., AgentConfig], listen: Callable[..., Listener], tmp_path: Path, fake_clock: Any
) -> None:
    server = listen(403, {})
    store = open_store(make_config(endpoint=f"http://127.0.0.1:{server.port}"), "detectors", clock=fake_clock)
    for _ in range(MAX_FAILURES):
        with pytest.raises(StorageRefused, match=r"GetObject on s3://detectors/k at http://.* failed: 403"):
            store.download("k", tmp_path / "k", size=1, sha256=None)
    assert len(server.requests) == 2 * MAX_FAILURES
    with pytest.raises(StorageRefused, match="GetObject on"):
        store.get("k", max_bytes=1)
    assert len(server.requests) == 2 * MAX_FAILURES + 1
    fake_clock.sleep(PAUSE_SECONDS)
    with pytest.raises(StorageRefused, match="GetObject on"):
        store.get("k", max_bytes=1)
    assert len(server.requests) == 2 * MAX_FAILURES + 3
    assert not list(tmp_path.glob("k*"))


def test_objects_that_are_missing_are_no_failures_of_obstore(s3_store: S3Store, s3_config: AgentConfig) -> None:
    bulk = bulk_of(s3_config)
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(BulkError):
            bulk.get("missing", max_bytes=1)
    s3_store.put("k", b"x")
    assert bulk.get("k", max_bytes=1)[0] == b"x"


@pytest.mark.parametrize("bucket", ["no bucket", "UPPER", ""])
def test_a_name_that_is_no_bucket_is_left_to_boto3(s3_config: Any, bucket: str) -> None:
    endpoint = s3_config.resolved.storage.endpoint
    credentials = credentials_of(s3_config)
    assert open_bulk(s3_config, bucket, credentials, endpoint=endpoint, limits=WORK, clock=Clock()) is None


@pytest.mark.parametrize("by", ["obstore", "boto3"])
def test_an_object_replaced_after_it_was_listed_is_noticed(s3_store: S3Store, by: str) -> None:
    if by == "boto3":
        s3_store._bulk = None
    s3_store.put("k", b"listed")
    [listed] = s3_store.list("k")
    assert s3_store.get("k", max_bytes=10, etag=listed.etag) == b"listed"
    s3_store.put("k", b"LISTED")
    with pytest.raises(ObjectChanged, match="when it was listed"):
        s3_store.get("k", max_bytes=10, etag=listed.etag)
