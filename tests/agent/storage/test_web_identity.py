"""Credentials from an STS: asked for once by a pod, renewed before they expire, and every refusal explained."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

import policy_gate
from fake_sts import ROLE, FakeSts, granted, refusal, token
from trainingrun_agent import redaction
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, Command, RunRef
from trainingrun_agent.errors import Outcome, StageError, StorageOutage, StorageRefused
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import bounded_answers, guard
from trainingrun_agent.storage.client import PREFLIGHT
from trainingrun_agent.storage.s3 import open_store
from trainingrun_agent.storage.stores import Stores
from trainingrun_agent.storage.web_identity import (
    ASK_AGAIN_SECONDS,
    MAX_TOKEN_BYTES,
    WebIdentityCredentials,
    credentials_of,
    session_name,
)
from trainingrun_agent.storage.writes import PART, WHOLE

pytestmark = pytest.mark.contract
REFUSED, OUTAGE = Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE
LISTING = (200, "<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
Configure = Callable[..., AgentConfig]


def s3_error(code: str, status: int = 403) -> tuple[int, str]:
    return status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"


@pytest.fixture
def sts(fake_clock: Clock) -> Iterator[FakeSts]:
    """An STS whose clock is that of the pod."""
    server = FakeSts(now=fake_clock.now)
    yield server
    server.stop()


@pytest.fixture
def keyless(make_config: Configure, sts: FakeSts, fake_clock: Clock, agent_paths: Any) -> Configure:
    """Make the config of a pod with a ServiceAccount: a token, and nothing else."""
    for file in agent_paths.credentials.iterdir():
        file.unlink()
    (agent_paths.credentials / "token").write_text(token(now=fake_clock.now()))

    def make(stage: Command = "prep", *, role: str | None = ROLE, at: str = "", **storage: Any) -> AgentConfig:
        identity = {"roleARN": role, "stsEndpoint": at or sts.endpoint}
        return make_config(stage, webIdentity=identity, **storage)

    return make


def credentials(config: AgentConfig, clock: Clock) -> WebIdentityCredentials:
    made = credentials_of(config, clock=clock)
    assert isinstance(made, WebIdentityCredentials)
    return made


def failure(config: AgentConfig, clock: Clock) -> StageError:
    with pytest.raises(StageError) as caught:
        credentials(config, clock).get_frozen_credentials()
    error = caught.value
    assert config.token_file.read_text() not in f"{error.message} {error.hint}"
    return error


@pytest.mark.parametrize("stage", ["prep", "mirror"])
def test_a_pod_asks_once_for_all_its_stores_and_threads(
    keyless: Configure, sts: FakeSts, moto_endpoint: str, fresh_bucket: str, tmp_path: Path, stage: Command
) -> None:
    clock = Clock()
    sts.now = clock.now
    config = keyless(stage, endpoint=moto_endpoint, bucket=fresh_bucket)
    config.token_file.write_text(token(now=clock.now()))
    stores = Stores(config, progress=Progress(stage=stage, pod_uid="pod"), stop=threading.Event(), clock=clock)
    opened = [stores.open_quick, stores.open_impatient, stores.open]

    def work(number: int) -> bytes:
        store = opened[number % 3](fresh_bucket)
        store.put(f"k{number}", b"x")
        return store.get(f"k{number}", max_bytes=1)

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(work, range(36))) == [b"x"] * 36
    (tmp_path / "file").write_bytes(b"y" * 100)
    with (tmp_path / "file").open("rb") as file:
        stores.open(fresh_bucket).upload("y", file, size=100)
    stores.open(fresh_bucket).download("y", tmp_path / "copy", size=100, sha256=None)
    stores.heartbeat().turn()
    assert len(sts.asked) == 1


def test_what_the_sts_is_asked(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    config = keyless()
    frozen = credentials(config, fake_clock).get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == (
        "ASIAFAKE000000000001",
        "secret-of-the-fake-sts-1",
        "session-of-the-fake-sts-1",
    )
    assert sts.asked == [
        {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": ROLE,
            "RoleSessionName": "team-a.tire@11112222-3333",
            "WebIdentityToken": config.token_file.read_text(),
        }
    ]
    assert not sts.signed


def test_a_role_that_the_run_does_not_name_is_not_sent(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    """MinIO and SeaweedFS then take the role from the token; a placeholder would be looked up."""
    credentials(keyless(role=None), fake_clock).get_frozen_credentials()
    assert "RoleArn" not in sts.asked[0]


@pytest.mark.parametrize(
    ("namespace", "name", "pod", "expected"),
    [
        ("team-a", "tire", "11112222-3333-4444", "team-a.tire@11112222-3333"),
        ("n" * 63, "r" * 40, "11112222-3333-4444", "n" * 50 + "@11112222-3333"),
        ("team-a", "tire", "mirror", "team-a.tire@mirror"),
        ("team-a", "tire", "a/b c", "team-a.tire@a-b-c"),
    ],
    ids=["short", "cut", "mirror", "other signs"],
)
def test_the_session_is_named_for_run_and_pod(
    keyless: Configure, namespace: str, name: str, pod: str, expected: str
) -> None:
    config = keyless()
    run = RunRef(namespace, name, "uid")
    made = session_name(replace(config, resolved=replace(config.resolved, run=run), pod_uid=pod))
    assert (made, len(made) <= 64) == (expected, True)


@pytest.mark.parametrize(("life", "kept"), [(3600, 2690), (720, 530), (12, 8)], ids=["hour", "minutes", "seconds"])
def test_credentials_are_renewed_before_they_expire_with_the_token_of_then(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, life: int, kept: int
) -> None:
    sts.seconds = life
    config = keyless()
    found = credentials(config, fake_clock)
    first = found.get_frozen_credentials()
    fake_clock.sleep(kept)
    assert found.get_frozen_credentials() == first
    (renewed := config.token_file).write_text(token(now=fake_clock.now()))
    fake_clock.sleep(life * 0.95 - kept)
    assert found.get_frozen_credentials() != first
    assert [form["WebIdentityToken"] == renewed.read_text() for form in sts.asked] == [False, True]


def test_an_sts_that_is_away_is_no_failure_while_the_credentials_work(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    config = keyless()
    found = credentials(config, fake_clock)
    first = found.get_frozen_credentials()
    unavailable = refusal("ServiceUnavailable", status=503)
    sts.instead = [unavailable] * 1000
    fake_clock.sleep(2760)
    for _ in range(830):
        fake_clock.sleep(1)
        assert found.get_frozen_credentials() == first
    assert 1000 - len(sts.instead) <= 840 / ASK_AGAIN_SECONDS + 1
    fake_clock.sleep(11)
    with pytest.raises(StorageOutage, match="failed: 503 ServiceUnavailable") as caught:
        found.get_frozen_credentials()
    assert caught.value.reason == "ServerError"
    sts.instead.clear()
    config.token_file.write_text(token(now=fake_clock.now()))
    fake_clock.sleep(2)
    assert found.get_frozen_credentials() != first
    assert all("could not be renewed" in message for message in caplog.messages)
    assert not any(record.exc_info for record in caplog.records)


def test_nobody_waits_for_a_slow_sts_while_the_credentials_work(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = credentials(keyless(), fake_clock)
    first = found.get_frozen_credentials()
    fake_clock.sleep(3500)
    asked, answered, answer = threading.Event(), threading.Event(), sts.answer

    def slowly(form: dict[str, str]) -> tuple[int, str]:
        asked.set()
        answered.wait(5)
        return answer(form)

    monkeypatch.setattr(sts, "answer", slowly)
    with ThreadPoolExecutor(1) as pool:
        renewed = pool.submit(found.get_frozen_credentials)
        assert asked.wait(5)
        assert found.get_frozen_credentials() == first
        answered.set()
        assert renewed.result() != first


def test_threads_that_waited_get_the_failure_of_the_one_that_asked(
    keyless: Configure, sts: FakeSts, fake_clock: Clock
) -> None:
    sts.instead = [refusal("AccessDenied", status=403)] * 20
    found = credentials(keyless(), fake_clock)

    def ask(_: int) -> str:
        with pytest.raises(StorageRefused) as caught:
            found.get_frozen_credentials()
        return caught.value.reason

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"WebIdentityRefused"}
    assert len(sts.asked) == 1


def test_a_token_for_another_audience_an_expired_and_a_foreign_one_are_refused(
    keyless: Configure, sts: FakeSts, fake_clock: Clock
) -> None:
    config = keyless()
    expired = int(fake_clock.now().timestamp()) - 1
    for claims, answer, hint in (
        ({"aud": ["vault"]}, "400 InvalidIdentityToken, Incorrect token audience", "runs.tokenAudience"),
        ({"exp": expired}, "400 ExpiredTokenException, Token expired", "NTP"),
        ({"iss": "https://other"}, "400 InvalidIdentityToken, no OpenIDConnect provider found for https", "issuer"),
    ):
        config.token_file.write_text(token(now=fake_clock.now(), **claims))
        error = failure(config, fake_clock)
        assert (error.outcome, error.reason) == (REFUSED, "WebIdentityRefused")
        assert f"AssumeRoleWithWebIdentity at {sts.endpoint}" in error.message
        assert answer in error.message
        assert hint in error.hint


ROLE_FIELD, STS_FIELD = "spec.storage.credentials.roleARN", "spec.storage.credentials.stsEndpoint"


@pytest.mark.parametrize(
    ("answer", "role", "outcome", "reason", "hint"),
    [
        (refusal("AccessDenied", status=403), ROLE, REFUSED, "WebIdentityRefused", "serviceAccountName"),
        (refusal("IDPRejectedClaim", status=403), ROLE, REFUSED, "WebIdentityRefused", ROLE_FIELD),
        (refusal("InvalidIdentityToken"), ROLE, REFUSED, "WebIdentityRefused", "runs.tokenAudience"),
        (refusal("ExpiredToken"), ROLE, REFUSED, "WebIdentityRefused", "NTP"),
        (
            refusal("AccessDenied", "failed to validate web identity token: no identity provider", status=403),
            ROLE,
            REFUSED,
            "WebIdentityRefused",
            "issuer",
        ),
        (refusal("InvalidParameterValue", "token is malformed"), None, REFUSED, "WebIdentityRefused", "issuer"),
        (refusal("InvalidParameterValue", "RoleArn is no role"), ROLE, REFUSED, "WebIdentityRefused", ROLE_FIELD),
        (
            refusal("ValidationError", "1 error: 'roleArn'"),
            None,
            REFUSED,
            "WebIdentityRefused",
            f"TrainingRun with {ROLE_FIELD}",
        ),
        (
            refusal("MissingParameter"),
            None,
            REFUSED,
            "WebIdentityRefused",
            f"TrainingRun with {ROLE_FIELD}",
        ),
        (
            (400, "<Error><Code>InvalidArgument</Code><Message>no</Message></Error>"),
            None,
            REFUSED,
            "WebIdentityRefused",
            ROLE_FIELD,
        ),
        (refusal("IDPCommunicationError"), ROLE, OUTAGE, "ServerError", "issuer"),
        (refusal("Throttling"), ROLE, OUTAGE, "ServerError", "log of the STS"),
        (refusal("InternalFailure", status=500), ROLE, OUTAGE, "ServerError", "log of the STS"),
        ((502, "<html>bad gateway</html>"), ROLE, OUTAGE, "ServerError", "log of the STS"),
        ((503, ""), ROLE, OUTAGE, "ServerError", "log of the STS"),
        ((404, "<html>nginx</html>"), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        ((404, ""), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        ((403, "denied"), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        ((200, "<html>hello</html>"), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        ((200, ""), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        (granted(1, "soon"), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        (granted(1, "9" * 400), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        (granted(1, "2026-01-31T11:59:59Z"), ROLE, REFUSED, "WebIdentityRefused", "NTP"),
        (granted(1, "0001-01-01T00:00:00Z"), ROLE, REFUSED, "WebIdentityRefused", "NTP"),
        (granted(1, "0001-01-01T00:00:00+14:00"), ROLE, REFUSED, "WebIdentityRefused", STS_FIELD),
        (granted(1, "9999-12-31T23:59:59-14:00"), ROLE, REFUSED, "WebIdentityRefused", STS_FIELD),
        (
            (200, f"<!DOCTYPE r [<!ENTITY a 'x'>]>{granted(1, '2027-01-31T12:00:00Z', key='&a;')[1]}"),
            ROLE,
            REFUSED,
            "WebIdentityRefused",
            STS_FIELD,
        ),
        (granted(1, "2027-01-31T12:00:00Z", secret="x" * (1 << 20)), ROLE, REFUSED, "WebIdentityRefused", STS_FIELD),
        (granted(1, "2027-01-31T12:00:00Z", key=" "), ROLE, REFUSED, "WebIdentityRefused", f"another {STS_FIELD}"),
        (granted(1, "2027-01-31T12:00:00Z", session="a\nb"), ROLE, REFUSED, "WebIdentityRefused", STS_FIELD),
        (granted(1, "2027-01-31T12:00:00Z", secret="é"), ROLE, REFUSED, "WebIdentityRefused", STS_FIELD),
        (granted(1, "2027-01-31T12:00:00Z", session="x" * 40000), ROLE, REFUSED, "WebIdentityRefused", STS_FIELD),
    ],
    ids=lambda value: (value[1].partition("<Code>")[2] or value[1])[:40] if isinstance(value, tuple) else "",
)
def test_each_answer_of_the_sts_has_its_reason(
    keyless: Configure,
    sts: FakeSts,
    fake_clock: Clock,
    answer: tuple[int, str],
    role: str | None,
    outcome: Outcome,
    reason: str,
    hint: str,
) -> None:
    sts.instead = [answer] * 3
    error = failure(keyless(role=role), fake_clock)
    assert (error.outcome, error.reason) == (outcome, reason)
    assert hint in error.hint
    assert f"AssumeRoleWithWebIdentity at {sts.endpoint} for {f'role {role}' if role else 'the token'}" in error.message
    assert isinstance(error, StorageRefused if outcome is REFUSED else StorageOutage)


def test_a_time_without_a_zone_is_in_utc(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    sts.instead = [granted(1, "2026-01-31T13:00:00")]
    found = credentials(keyless(), fake_clock)
    first = found.get_frozen_credentials()
    fake_clock.sleep(2000)
    assert found.get_frozen_credentials() == first


@pytest.mark.parametrize("expiration", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59", "9999-12-31T23:59:59+14:00"])
def test_credentials_that_never_expire_are_kept_until_s3_refuses_them(
    keyless: Configure, sts: FakeSts, canned_server: Any, fake_clock: Clock, expiration: str
) -> None:
    canned_server.date, canned_server.answers = fake_clock.now(), [LISTING, s3_error("ExpiredToken"), LISTING]
    sts.instead = [granted(1, expiration)]
    store = open_store(keyless(endpoint=canned_server.endpoint), "detectors", clock=fake_clock, limits=PREFLIGHT)
    for _ in range(2):
        assert list(store.list("x/")) == []
        fake_clock.sleep(ASK_AGAIN_SECONDS)
    assert len(sts.asked) == 2


def test_credentials_of_weeks_are_not_all_remembered(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are in use are masked all the same."""
    monkeypatch.setattr(redaction, "KEPT", 10)
    sts.seconds = 1
    found, token_file = credentials(config := keyless(), fake_clock), config.token_file
    for _ in range(20):
        fake_clock.sleep(2)
        frozen = found.get_frozen_credentials()
    assert len(redaction._values) == 10
    for secret in (frozen.access_key, frozen.secret_key, frozen.token, token_file.read_text()):
        assert redaction.redact(f"a {secret} b") == "a [redacted] b"
    assert len(sts.asked) == 20


def test_an_sts_that_repeats_the_token_is_redacted(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    config = keyless()
    sent = config.token_file.read_text()
    sts.instead = [refusal("InvalidIdentityToken", f"{sent} is wrong, its signature {sent.rpartition('.')[2]} is bad")]
    message = failure(config, fake_clock).message
    assert "InvalidIdentityToken, [redacted] is wrong, its signature [redacted] is bad" in message


def test_what_the_sts_gave_is_redacted(keyless: Configure, canned_server: Any, fake_clock: Clock) -> None:
    canned_server.date = fake_clock.now()
    told = "secret-of-the-fake-sts-1 and session-of-the-fake-sts-1"
    canned_server.answers = [(403, f"<?xml version='1.0'?><Error><Code>X</Code><Message>{told}</Message></Error>")]
    store = open_store(keyless(endpoint=canned_server.endpoint), "detectors", clock=fake_clock, limits=PREFLIGHT)
    with pytest.raises(StorageRefused, match=r"\[redacted\] and \[redacted\]"):
        list(store.list("k"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is empty"),
        (" \n", "is empty"),
        ("two words", "is not one line of plain text"),
        ("x" * (MAX_TOKEN_BYTES + 1), f"is longer than {MAX_TOKEN_BYTES} bytes"),
        ("é.é.é", "is not one line of plain text"),
    ],
    ids=["missing", "empty", "blank", "words", "long", "not ASCII"],
)
def test_a_token_that_is_none_is_not_sent(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, content: str | None, problem: str, tmp_path: Path
) -> None:
    config = keyless(endpoint=sts.endpoint)
    config.token_file.unlink() if content is None else config.token_file.write_text(content)
    for call in (
        lambda store: store.get("k", max_bytes=1),
        lambda store: store.put("k", b""),
        lambda store: store.download("k", tmp_path / "k", size=1, sha256=None),
        lambda store: list(store.list("k")),
    ):
        with pytest.raises(StorageRefused) as caught:
            call(open_store(config, "detectors", clock=fake_clock))
        assert caught.value.reason == "TokenUnusable"
        assert caught.value.message == f"the token of the ServiceAccount in {config.token_file} {problem}"
        assert not content or content not in caught.value.message or not content.strip()
    assert sts.asked == []


EXPIRED = s3_error("ExpiredToken", 400)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "InvalidTokenId"])
def test_credentials_that_s3_refuses_are_replaced_and_the_call_repeated(
    keyless: Configure, sts: FakeSts, canned_server: Any, fake_clock: Clock, code: str
) -> None:
    canned_server.date = fake_clock.now()
    canned_server.answers = [LISTING, s3_error(code), LISTING]
    store = open_store(keyless(endpoint=canned_server.endpoint), "detectors", clock=fake_clock, limits=PREFLIGHT)
    assert list(store.list("x/")) == []
    fake_clock.sleep(ASK_AGAIN_SECONDS)
    assert list(store.list("x/")) == []
    assert (len(canned_server.requests), len(sts.asked)) == (3, 2)


def test_an_upload_goes_on_when_credentials_expire_in_it(
    keyless: Configure, sts: FakeSts, moto_endpoint: str, fresh_bucket: str, fake_clock: Clock
) -> None:
    size = WHOLE + PART
    with policy_gate.serve(moto_endpoint, {}) as gate:
        config = keyless(endpoint=gate.endpoint, bucket=fresh_bucket)
        store = open_store(config, fresh_bucket, credentials=credentials(config, fake_clock), limits=PREFLIGHT)
        store.put("first", b"")
        fake_clock.sleep(ASK_AGAIN_SECONDS)
        gate.expired_part = True
        sha256 = store.upload("large", io.BytesIO(b"x" * size), size=size)
        assert (sha256, gate.expired_part) == (hashlib.sha256(b"x" * size).hexdigest(), False)
        found = store.head("large")
    assert (found and found.size, len(sts.asked)) == (size, 2)


def test_a_head_request_that_s3_refuses_without_words_is_repeated(
    keyless: Configure, sts: FakeSts, canned_server: Any, fake_clock: Clock
) -> None:
    canned_server.date = fake_clock.now()
    canned_server.answers = [(400, ""), (404, "")]
    store = open_store(keyless(endpoint=canned_server.endpoint), "detectors", clock=fake_clock, limits=PREFLIGHT)
    credentials_used = store._client._request_signer._credentials
    credentials_used.get_frozen_credentials()
    fake_clock.sleep(ASK_AGAIN_SECONDS)
    assert store.head("k") is None
    assert (len(canned_server.requests), len(sts.asked)) == (2, 2)


def test_credentials_that_s3_never_takes_are_no_storm_on_the_sts(
    keyless: Configure, sts: FakeSts, canned_server: Any, fake_clock: Clock
) -> None:
    canned_server.date = fake_clock.now()
    canned_server.answers = [s3_error("InvalidAccessKeyId")]
    store = open_store(keyless(endpoint=canned_server.endpoint), "detectors", clock=fake_clock, limits=PREFLIGHT)
    for _ in range(30):
        with pytest.raises(StorageRefused) as caught:
            list(store.list("x/"))
        fake_clock.sleep(6)
    assert len(sts.asked) <= 1 + 180 / ASK_AGAIN_SECONDS
    assert caught.value.reason == "InvalidCredentials"
    assert f"The STS of {STS_FIELD} gave the credentials" in caught.value.hint


def test_a_role_without_rights_is_named_instead_of_a_secret(
    keyless: Configure, canned_server: Any, fake_clock: Clock
) -> None:
    canned_server.date = fake_clock.now()
    canned_server.answers = [s3_error("AccessDenied")]
    store = open_store(keyless(endpoint=canned_server.endpoint), "detectors", clock=fake_clock, limits=PREFLIGHT)
    with pytest.raises(StorageRefused) as caught:
        list(store.list("x/"))
    assert caught.value.reason == "AccessDenied"
    assert caught.value.hint == (
        f"Allow s3:ListBucket on bucket detectors to the role of {ROLE_FIELD}, or to the token's own role if none is"
        " named; then raise spec.retry."
    )


def test_a_role_that_is_refused_later_is_waited_for(
    keyless: Configure, sts: FakeSts, canned_server: Any, fake_clock: Any
) -> None:
    """Somebody edits the trust policy, and corrects it a moment later."""
    canned_server.date, canned_server.answers = fake_clock.now(), [LISTING]
    progress, seen = Progress(stage="train", pod_uid="pod", clock=fake_clock), []
    wait = fake_clock.wait

    def watched(event: threading.Event, seconds: float) -> bool:
        seen.append(progress.snapshot()["storage"])
        return bool(wait(event, seconds))

    fake_clock.wait = watched
    config = keyless("train", endpoint=canned_server.endpoint)
    store = Stores(config, progress=progress, stop=threading.Event(), clock=fake_clock).open("detectors")
    assert list(store.list("x/")) == []
    fake_clock.sleep(3601)
    canned_server.date = fake_clock.now()
    config.token_file.write_text(token(now=fake_clock.now()))
    sts.instead = [refusal("AccessDenied", status=403)] * 3
    assert list(store.list("x/")) == []
    assert {(state["ready"], state["reason"]) for state in seen} == {(False, "WebIdentityRefused")}
    assert seen[0]["message"].endswith(
        "failed: 403 AccessDenied, no. It worked before, so the pod goes on and tries again for 5 minutes."
    )
    assert progress.snapshot()["storage"] == {"ready": True}


def test_a_first_refusal_ends_the_stage_at_once(keyless: Configure, sts: FakeSts, fake_clock: Any) -> None:
    sts.instead = [refusal("AccessDenied", status=403)]
    progress = Progress(stage="prep", pod_uid="pod", clock=fake_clock)
    stores = Stores(keyless(), progress=progress, stop=threading.Event(), clock=fake_clock)
    with pytest.raises(StorageRefused, match="AccessDenied"):
        stores.open_quick("detectors").head("k")
    assert fake_clock.waits == []


def test_the_environment_does_not_redirect_the_token(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """EKS's webhook and images set some of these."""
    elsewhere = "http://127.0.0.1:1"
    (tmp_path / "aws").write_text(
        f"[default]\nrole_arn = x\nendpoint_url = {elsewhere}\nsts_regional_endpoints=legacy\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere)
        monkeypatch.setenv(name.lower(), elsewhere)
    for name in ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::999999999999:role/other")
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "other")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    monkeypatch.setenv("AWS_REGION", "eu-other-1")
    assert credentials(keyless(), fake_clock).get_frozen_credentials().access_key == "ASIAFAKE000000000001"
    assert (sts.asked[0]["RoleArn"], sts.asked[0]["RoleSessionName"][:6], sts.signed) == (ROLE, "team-a", False)


def test_the_token_does_not_follow_a_redirect(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    other = FakeSts()
    try:
        sts.instead, sts.location = [(307, "")] * 2, other.endpoint
        error = failure(keyless(), fake_clock)
        assert (error.reason, other.asked) == ("WebIdentityRefused", [])
        assert "the answer is not that of an STS" in error.message
    finally:
        other.stop()


def test_an_answer_without_end_is_not_read(
    keyless: Configure, sts: FakeSts, fake_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_answers, "MAX_ANSWER_BYTES", 1000)
    sts.instead = [(200, "x" * 2000)] * 2
    error = failure(keyless(), fake_clock)
    assert (error.reason, "the answer is not that of an STS" in error.message) == ("WebIdentityRefused", True)


def test_an_sts_in_a_refused_network_gets_no_token(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    with guard.refuse_connections([ip_network("127.0.0.0/8")]):
        error = failure(keyless(), fake_clock)
    assert (error.outcome, error.reason, sts.asked) == (REFUSED, "AddressRefused", [])
    assert error.message.startswith(f"{STS_FIELD}: {sts.endpoint} leads to 127.0.0.1, which is the pod itself")


def test_nobody_listens_at_the_sts(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    config = keyless()
    sts.http.server_close()
    error = failure(config, fake_clock)
    assert (error.outcome, error.reason) == (OUTAGE, "EndpointUnreachable")
    assert error.message.endswith("Connection refused")
    assert STS_FIELD in error.hint


def test_an_impossible_sts_endpoint(keyless: Configure, fake_clock: Clock) -> None:
    error = failure(keyless(at="nonsense"), fake_clock)
    assert error.message.startswith(f"{STS_FIELD} 'nonsense' cannot be used")


def test_tls_to_a_plain_sts(keyless: Configure, sts: FakeSts, fake_clock: Clock) -> None:
    error = failure(keyless(at=sts.endpoint.replace("http", "https")), fake_clock)
    assert (error.outcome, error.reason) == (REFUSED, "TLSError")
    assert STS_FIELD in error.hint
