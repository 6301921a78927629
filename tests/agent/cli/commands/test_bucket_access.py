"""How commands reach a bucket without keys or through a proxy: as AWS's own tools do, from the environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_shell import Shell
from fake_sts import ROLE, FakeSts, refusal, token
from small_proxy import HIDDEN, SmallProxy
from trainingrun_agent import redaction
from trainingrun_agent.clock import Clock
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, voc

pytestmark = pytest.mark.contract
NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def aws(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing from the machine."""
    for name in (*NAMES, *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(shell.root))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def uploaded(s3_store: S3Store) -> str:
    """An image in a bucket; returns its folder."""
    for index in range(3):
        s3_store.put(f"images/t{index}.jpg", jpeg(seed=index))
        s3_store.put(f"images/t{index}.xml", voc())
    return f"s3://{s3_store.bucket}/images/"


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeSts]:
    """An STS, and the variables that name it, a role and a token."""
    server = FakeSts()
    (tmp_path / "token").write_text(token(now=Clock().now()))
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield server
    server.stop()


def test_a_command_takes_a_role_from_the_environment(
    shell: Shell, uploaded: str, moto_endpoint: str, sts: FakeSts
) -> None:
    ended = shell.run("doctor", uploaded, "--endpoint", moto_endpoint, "--write", "run.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert [form["RoleArn"] for form in sts.asked] == [ROLE]
    assert redaction.redact("session-of-the-fake-sts-1 secret-of-the-fake-sts-1") == "[redacted] [redacted]"
    assert "kind: TrainingRun" in (shell.root / "run.yaml").read_text()


def test_keys_of_a_role_that_are_renewed_are_redacted(
    shell: Shell, uploaded: str, moto_endpoint: str, sts: FakeSts
) -> None:
    sts.seconds = 1  # boto3 then asks before every request
    ended = shell.run("prune", "--bucket", uploaded.split("/")[2], "--endpoint", moto_endpoint)
    assert (ended.code, ended.err) == (0, "")
    last = len(sts.asked)
    assert last > 1
    assert redaction.redact(f"session-of-the-fake-sts-{last}") == "[redacted]"


def test_an_sts_that_refuses_is_quoted(shell: Shell, uploaded: str, moto_endpoint: str, sts: FakeSts) -> None:
    sts.instead = [refusal("AccessDenied", "not this role", status=403)]
    ended = shell.run("doctor", uploaded, "--endpoint", moto_endpoint)
    assert (ended.code, ended.out) == (2, "")
    assert "AssumeRoleWithWebIdentity operation: not this role: correct" in ended.err


def test_a_token_that_is_missing_is_named(
    shell: Shell, uploaded: str, moto_endpoint: str, sts: FakeSts, tmp_path: Path
) -> None:
    (tmp_path / "token").unlink()
    ended = shell.run("doctor", uploaded, "--endpoint", moto_endpoint)
    assert (ended.code, ended.out, str(tmp_path / "token") in ended.err) == (2, "", True)


@pytest.mark.parametrize("refused", [False, True], ids=["lets through", "refuses"])
def test_a_command_uses_the_proxy_of_the_environment(
    shell: Shell, uploaded: str, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    proxy = SmallProxy()
    proxy.refuse = 407 if refused else 0
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    endpoint = moto_endpoint.replace("127.0.0.1", f"storage{HIDDEN}")
    try:
        ended = shell.run("doctor", uploaded, "--endpoint", endpoint)
    finally:
        proxy.stop()
    assert proxy.requests
    assert ended.code == (2 if refused else 0)
    assert ("refuses it (407" in ended.err) is refused


def test_a_proxy_that_is_away_is_named_as_the_environment_does(
    shell: Shell, uploaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr("trainingrun_agent.cli.bucket.LIMITS", Limits(connect=1, read=1, attempts=1))
    ended = shell.run("doctor", uploaded, "--endpoint", "https://storage.example")
    assert ended.code == 2
    assert "the proxy http://127.0.0.1:9 cannot be reached: Failed to establish" in ended.err
    assert "HTTPS_PROXY" in ended.err
