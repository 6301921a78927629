"""Failures of storage over HTTP: each has one reason, and a message that says where to look."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.s3 import S3Store, open_store

pytestmark = pytest.mark.contract
FAST = Limits(connect=1, read=1, attempts=1)
SECRETS = (
    "canary/Secret+0123456789abcdefghijklmnop",
    "AKIACANARY0000000001",
    "canary-session-token-0123456789",
)


class Canned(Protocol):
    """The canned server of conftest."""

    endpoint: str
    answers: list[tuple[int, str]]
    date: datetime | None


def _xml(code: str, text: str = "no") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{text}</Message></Error>'


def _fail(store: S3Store) -> StageError:
    with pytest.raises(StageError) as caught:
        list(store.list("runs/x/", limit=1))
    error = caught.value
    for secret in SECRETS:
        assert secret not in f"{error.message} {error.hint}"
    return error


REFUSED, OUTAGE = Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE


def test_a_folder_that_must_not_be_listed_is_empty(
    make_config: Callable[..., AgentConfig], canned_server: Canned
) -> None:
    """Neighbours of a source are looked for with the source's credentials, which need not have a right to them."""
    canned_server.answers = [(403, _xml("AccessDenied"))] * 2
    store = open_store(make_config(endpoint=canned_server.endpoint), "detectors", limits=FAST)
    found = store.children("a/")
    assert (found.files, found.folders, store.readable("a/b")) == ([], [], False)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason", "hint"),
    [
        (403, _xml("SignatureDoesNotMatch"), REFUSED, "InvalidCredentials", "AWS_SECRET_ACCESS_KEY"),
        (403, _xml("InvalidAccessKeyId"), REFUSED, "InvalidCredentials", "AWS_ACCESS_KEY_ID"),
        (400, _xml("ExpiredToken"), REFUSED, "InvalidCredentials", "AWS_SESSION_TOKEN"),
        (403, _xml("AccessDenied"), REFUSED, "AccessDenied", "s3:ListBucket"),
        (403, "", REFUSED, "AccessDenied", "secretName"),
        (404, _xml("NoSuchBucket"), REFUSED, "BucketNotFound", "spec.storage.bucket"),
        (403, _xml("RequestTimeTooSkewed"), REFUSED, "ClockSkew", "NTP"),
        (301, _xml("PermanentRedirect"), REFUSED, "WrongRegion", "spec.storage.region"),
        (400, _xml("AuthorizationHeaderMalformed"), REFUSED, "WrongRegion", "spec.storage.region"),
        (404, "<html>nginx</html>", REFUSED, "EndpointNotS3", "spec.storage.endpoint"),
        (200, "<html>hello</html>", REFUSED, "EndpointNotS3", "spec.storage.endpoint"),
        (400, "plain HTTP request was sent to HTTPS port", REFUSED, "EndpointNotS3", "http or https"),
        (501, _xml("NotImplemented"), REFUSED, "RequestRefused", "does not support ListObjectsV2"),
        (503, _xml("SlowDown"), OUTAGE, "ServerError", "log of the storage server"),
        (500, _xml("InternalError"), OUTAGE, "ServerError", "log of the storage server"),
        (502, "<html>bad gateway</html>", OUTAGE, "ServerError", "log of the storage server"),
        (429, _xml("TooManyRequests"), OUTAGE, "ServerError", "log of the storage server"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) and "<" not in value else None,
)
def test_each_answer_has_its_reason(
    make_config: Callable[..., AgentConfig],
    canned_server: Canned,
    status: int,
    body: str,
    outcome: Outcome,
    reason: str,
    hint: str,
) -> None:
    canned_server.answers = [(status, body)]
    config = make_config(endpoint=canned_server.endpoint)
    error = _fail(open_store(config, "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (outcome, reason)
    assert hint in error.hint
    where = f"ListObjectsV2 on s3://detectors/runs/x/ at {canned_server.endpoint} failed"
    assert where in error.message


def test_a_server_that_quotes_the_credentials_is_redacted(
    make_config: Callable[..., AgentConfig], canned_server: Canned
) -> None:
    canned_server.answers = [(403, _xml("SignatureDoesNotMatch", f"you sent {SECRETS[0]} of {SECRETS[1]}"))]
    error = _fail(open_store(make_config(endpoint=canned_server.endpoint), "detectors", limits=FAST))
    assert "you sent [redacted] of [redacted]" in error.message


def test_the_field_of_another_bucket_is_named(
    make_config: Callable[..., AgentConfig], document: dict[str, Any], canned_server: Canned
) -> None:
    document["dataset"]["eval"]["bucket"] = "photos"
    canned_server.answers = [(404, _xml("NoSuchBucket"))]
    store = open_store(make_config(endpoint=canned_server.endpoint), "photos", limits=FAST)
    assert "create a new TrainingRun with another spec.dataset.eval.uri" in _fail(store).hint


@pytest.mark.parametrize("minutes", [-30, 16], ids=["server ahead", "server behind"])
def test_a_clock_that_is_off_is_distinguished_from_a_wrong_signature(
    make_config: Callable[..., AgentConfig], canned_server: Canned, minutes: int
) -> None:
    canned_server.answers = [(403, _xml("SignatureDoesNotMatch"))]
    canned_server.date = datetime.now(UTC) - timedelta(minutes=minutes)
    error = _fail(open_store(make_config(endpoint=canned_server.endpoint), "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (REFUSED, "ClockSkew")
    assert ("ahead of" if minutes > 0 else "behind") in error.message


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_missing_key_of_the_secret_is_named(
    make_config: Callable[..., AgentConfig], canned_server: Canned, name: str, how: str
) -> None:
    config = make_config(endpoint=canned_server.endpoint)
    path = config.credentials_dir / name
    path.unlink() if how == "absent" else path.write_text("\n")
    error = _fail(open_store(config, "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (REFUSED, "CredentialsMissing")
    assert name in error.message
    assert "spec.storage.credentials.secretName" in error.message


@pytest.mark.parametrize("value", ["two words", "two\nlines", "\xe9", "k" * 5000], ids=str.__len__)
def test_a_value_that_is_no_credential_is_reported_without_showing_it(
    make_config: Callable[..., AgentConfig], value: str
) -> None:
    config = make_config()
    (config.credentials_dir / "AWS_ACCESS_KEY_ID").write_text(value)
    error = _fail(open_store(config, "detectors", limits=FAST))
    assert (error.reason, value in error.message) == ("InvalidCredentials", False)


def test_a_rotated_secret_is_used_at_once(
    make_config: Callable[..., AgentConfig], s3_config: AgentConfig, s3_store: S3Store
) -> None:
    assert s3_store.put("k", b"1")
    (s3_config.credentials_dir / "AWS_SECRET_ACCESS_KEY").unlink()
    with pytest.raises(StageError, match="AWS_SECRET_ACCESS_KEY is missing"):
        s3_store.put("k", b"2")
    (s3_config.credentials_dir / "AWS_SECRET_ACCESS_KEY").write_text("another-secret-value")
    assert s3_store.put("k", b"3")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_nobody_listens(make_config: Callable[..., AgentConfig]) -> None:
    config = make_config(endpoint=f"http://127.0.0.1:{_refused_port()}")
    error = _fail(open_store(config, "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (OUTAGE, "EndpointUnreachable")
    assert error.message.endswith("Failed to establish a new connection: [Errno 111] Connection refused")
    assert "spec.storage.endpoint" in error.hint


def test_no_such_host(make_config: Callable[..., AgentConfig]) -> None:
    error = _fail(open_store(make_config(endpoint="http://s3.invalid:7070"), "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (OUTAGE, "EndpointUnreachable")
    assert "s3.invalid" in error.message


def test_an_endpoint_that_never_answers(make_config: Callable[..., AgentConfig], silent_port: int) -> None:
    config = make_config(endpoint=f"http://127.0.0.1:{silent_port}")
    error = _fail(open_store(config, "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (OUTAGE, "EndpointUnreachable")
    assert "no answer in time" in error.message


def test_tls_to_a_plain_port(make_config: Callable[..., AgentConfig], canned_server: Canned) -> None:
    canned_server.answers = [(200, "")]
    config = make_config(endpoint=canned_server.endpoint.replace("http", "https"))
    error = _fail(open_store(config, "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (REFUSED, "TLSError")
    assert "http or https in spec.storage.endpoint" in error.hint


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """A TLS server that answers every request with an empty listing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    body = b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    stopped = threading.Event()

    def serve(server: socket.socket) -> None:
        while not stopped.is_set():
            try:
                plain, _ = server.accept()
                with plain, context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(head + body)
            except OSError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stopped.set()
        thread.join()


def test_an_unknown_authority(make_config: Callable[..., AgentConfig], tls_port: int) -> None:
    error = _fail(open_store(make_config(endpoint=f"https://127.0.0.1:{tls_port}"), "detectors", limits=FAST))
    assert (error.outcome, error.reason) == (REFUSED, "TLSError")
    assert "self-signed certificate" in error.message
    assert "spec.storage.caBundle" in error.hint


def test_the_ca_bundle_is_trusted(make_config: Callable[..., AgentConfig], tls_port: int, certificate: Path) -> None:
    config = make_config(endpoint=f"https://127.0.0.1:{tls_port}", caBundle=True)
    assert config.ca_file is not None
    text = certificate.read_text()
    config.ca_file.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    assert list(open_store(config, "detectors", limits=FAST).list("x/")) == []


def test_a_ca_bundle_that_is_not_mounted(make_config: Callable[..., AgentConfig]) -> None:
    with pytest.raises(StageError, match=r"CA bundle of spec\.storage\.caBundle is not mounted") as caught:
        open_store(make_config(endpoint="https://127.0.0.1:1", caBundle=True), "detectors")
    assert caught.value.reason == "TLSError"


@pytest.mark.parametrize(
    "content",
    ["", "password=canary-of-others", "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n"],
    ids=["empty", "something else", "broken"],
)
def test_what_is_in_the_ca_bundle_is_never_shown(make_config: Callable[..., AgentConfig], content: str) -> None:
    config = make_config(endpoint="https://127.0.0.1:9", caBundle=True)
    assert config.ca_file is not None
    config.ca_file.write_text(content)
    with pytest.raises(StageError) as caught:
        open_store(config, "detectors")
    error = caught.value
    assert (error.outcome, error.reason) == (REFUSED, "TLSError")
    assert error.message == "spec.storage.caBundle: the ConfigMap's key has no readable certificates"
    assert error.hint.startswith(
        "Put the certificates of the authority into it, in PEM form (-----BEGIN CERTIFICATE-----)"
    )


def test_an_impossible_bucket_name(make_config: Callable[..., AgentConfig]) -> None:
    error = _fail(open_store(make_config(bucket="no bucket"), "no bucket", limits=FAST))
    assert (error.outcome, error.reason) == (REFUSED, "BucketNotFound")


def test_an_impossible_endpoint(make_config: Callable[..., AgentConfig]) -> None:
    with pytest.raises(StageError, match=r"spec\.storage\.endpoint 'nonsense' cannot be used") as caught:
        open_store(make_config(endpoint="nonsense"), "detectors")
    assert caught.value.reason == "EndpointNotS3"
