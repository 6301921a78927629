"""Fixtures for the agent's tests: configs, a clock that tests control, an S3 server, a run in it, failing servers."""

from __future__ import annotations

import copy
import json
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jsonschema import Draft202012Validator, FormatChecker

from agent_run import Run, resolved_document, store_prepared
from trainingrun_agent import redaction, uncertainty
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, Command, Paths, load
from trainingrun_agent.storage.s3 import S3Store, open_store
from trservers import catalogue
from trservers.server import Server

CONTRACTS = Path(__file__).parents[2] / "images" / "contracts"
CANARY_KEY_ID = "AKIACANARY0000000001"
CANARY_SECRET = "canary/Secret+0123456789abcdefghijklmnop"
CANARY_TOKEN = "canary-session-token-0123456789"

DOCUMENT: dict[str, Any] = {
    "contractVersion": 1,
    "run": {"namespace": "team-a", "name": "tire", "uid": "0123abcd-0000-4000-8000-000000000000"},
    "storage": {
        "endpoint": "http://127.0.0.1:9",
        "region": "us-east-1",
        "bucket": "detectors",
        "prefix": "ml/vision",
        "addressing": "path",
        "caBundle": False,
        "outageToleranceSeconds": 60,
    },
    "dataset": {
        "train": {"bucket": "detectors", "key": "tire/images/train/", "imageSet": None, "format": "auto"},
        "eval": {"bucket": "detectors", "key": "tire/images/test/", "imageSet": None, "format": "auto"},
        "classes": ["tire"],
        "maxBadFiles": "1%",
        "maxImageSide": 1024,
    },
    "model": {"network": "ssd_inception_v2", "pretrained": None},
    "train": {
        "steps": 100,
        "batchSize": 4,
        "learningRate": "0.004",
        "gpus": 0,
        "saveEverySteps": 50,
        "evalEverySteps": 50,
        "stallSeconds": 600,
    },
    "export": {"evalImages": 20},
    "images": {"agent": "agent:1", "trainer": "trainer:1", "tensorboard": "tensorboard:1"},
}


class FakeClock(Clock):
    """A clock that advances only while code waits for it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        """Noon of a fixed day, plus the time waited."""
        return datetime(2026, 1, 31, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Seconds waited."""
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Advance the clock without waiting."""
        self.sleep(seconds)
        return event.is_set()

    def sleep(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.waits.append(seconds)
        self.seconds += seconds


@pytest.fixture(autouse=True, scope="session")
def tiny_data_sets_are_large_enough() -> Iterator[None]:
    """The data sets of tests have few images; prep/judge/test_small_eval.py tests what is said about that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "FEW_IMAGES", 0)
        patch.setattr(uncertainty, "FEW_OBJECTS", 0)
        yield


@pytest.fixture(autouse=True)
def secrets_of_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of a test are masked in no other: some are words that messages hold."""
    monkeypatch.setattr(redaction, "_values", {})


@pytest.fixture
def real_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is little to evaluate on for users."""
    monkeypatch.setattr(uncertainty, "FEW_IMAGES", 20)
    monkeypatch.setattr(uncertainty, "FEW_OBJECTS", 5)


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that the test controls."""
    return FakeClock()


@pytest.fixture
def document() -> dict[str, Any]:
    """A resolved.json, free to be changed."""
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def agent_paths(tmp_path: Path) -> Paths:
    """Mounts of a pod in a temporary folder, credentials in place."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    values = {
        "AWS_ACCESS_KEY_ID": CANARY_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": CANARY_SECRET,
        "AWS_SESSION_TOKEN": CANARY_TOKEN,
    }
    for name, value in values.items():
        (credentials / name).write_text(value + "\n")
    (tmp_path / "shared").mkdir()
    return Paths(
        resolved=tmp_path / "resolved.json",
        credentials=credentials,
        ca_bundle=tmp_path / "ca.crt",
        model_config=tmp_path / "model-config" / "pipeline.config",
        shared=tmp_path / "shared",
        termination_log=tmp_path / "termination-log",
    )


@pytest.fixture
def make_config(document: dict[str, Any], agent_paths: Paths) -> Callable[..., AgentConfig]:
    """Make a config for a stage, with fields of `storage` replaced by keyword."""

    def make(stage: Command = "prep", **storage: Any) -> AgentConfig:
        document["storage"].update(storage)
        agent_paths.resolved.write_text(json.dumps(document))
        env = {"POD_UID": "11112222-3333-4444-5555-666677778888", "POD_IP": "127.0.0.1"}
        return load(env, stage=stage, paths=agent_paths)

    return make


@pytest.fixture
def contract() -> Callable[[str, Any], None]:
    """Check a document against images/contracts/<name>.schema.json."""

    def check(name: str, document: Any) -> None:
        schema = json.loads((CONTRACTS / f"{name}.schema.json").read_text())
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(document)

    return check


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An S3 server on loopback, shared by all tests: use buckets of your own.

    It is moto, or the server that `make servers` runs the tests with mark `server` against.
    """
    name = request.config.getoption("--s3-server", default=catalogue.MOTO)
    with catalogue.running(name, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_endpoint(s3_server: Server) -> str:
    """Address of the server, for tests that only moto is used for."""
    assert s3_server.name == catalogue.MOTO
    return s3_server.endpoint


@pytest.fixture
def fresh_bucket(s3_server: Server) -> Iterator[str]:
    """Name of an empty bucket that no other test uses."""
    name = f"bucket-{next(_bucket_numbers)}"
    s3_server.client.create_bucket(Bucket=name)
    yield name
    if s3_server.name != catalogue.MOTO:
        s3_server.remove_bucket(name)


_bucket_numbers = iter(range(1, 1_000_000))


@pytest.fixture
def s3_config(
    make_config: Callable[..., AgentConfig],
    document: dict[str, Any],
    agent_paths: Paths,
    s3_server: Server,
    fresh_bucket: str,
) -> AgentConfig:
    """A prep config whose URIs all point to one empty bucket of a working server."""
    for split in ("train", "eval"):
        document["dataset"][split]["bucket"] = fresh_bucket
    if s3_server.name != catalogue.MOTO:  # which takes any account, as that of the canaries
        s3_server.write_account(agent_paths.credentials)
    return make_config(endpoint=s3_server.endpoint, region=s3_server.region, bucket=fresh_bucket)


@pytest.fixture
def s3_store(s3_config: AgentConfig) -> S3Store:
    """The store of s3_config's empty bucket."""
    return open_store(s3_config, s3_config.resolved.storage.bucket)


@pytest.fixture
def run(s3_server: Server, fresh_bucket: str, tmp_path: Path) -> Iterator[Run]:
    """A run in an empty bucket; its trainer processes are killed afterwards."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    s3_server.write_account(credentials)
    result = Run(tmp_path, resolved_document(s3_server.endpoint, fresh_bucket))
    yield result
    for process in result.trainers:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture
def prepared(run: Run) -> Run:
    """The run after its prep stage."""
    store_prepared(run)
    return run


class CannedServer:
    """Answers every request with the next of `answers`, the last one over and over; records the requests.

    It hangs while its `gate` is not set.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = []
        self.requests: list[str] = []
        self.date: datetime | None = None
        self.location = ""
        self.gate = threading.Event()
        self.gate.set()
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
            timeout = 5

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                canned.requests.append(f"{self.command} {self.path}")
                canned.gate.wait(30)
                status, body = canned.answers.pop(0) if len(canned.answers) > 1 else canned.answers[0]
                data = body.encode()
                self.send_response_only(status)
                self.send_header("Date", format_datetime(canned.date or datetime.now(UTC), usegmt=True))
                self.send_header("Content-Type", "application/xml" if body.startswith("<?xml") else "text/html")
                self.send_header("Content-Length", str(len(data)))
                if canned.location:
                    self.send_header("Location", canned.location)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def canned_server() -> Iterator[CannedServer]:
    """A server with scripted answers."""
    server = CannedServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
