"""spec.storage.encryption: a bucket whose policy denies every unencrypted write, and what the server says of keys."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

import odd_s3
import policy_gate
from agent_run import Run, store_prepared
from odd_s3 import Answer
from policy_gate import PolicyGate, serve
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import Outcome, StageError, StorageOutage
from trainingrun_agent.storage import preflight
from trainingrun_agent.storage.client import PREFLIGHT, WORK, Limits
from trainingrun_agent.storage.s3 import S3Store, open_store
from trainingrun_agent.storage.writes import PART, WHOLE

pytestmark = pytest.mark.contract
KEY = "arn:aws:kms:us-east-1:123456789012:key/0f0e0d0c-0000-4000-8000-000000000000"
TYPE_HEADER, KEY_HEADER = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
AES: dict[str, Any] = {"type": "AES256", "kmsKeyId": None}
KMS: dict[str, Any] = {"type": "aws:kms", "kmsKeyId": None}
KMS_WITH_KEY: dict[str, Any] = {"type": "aws:kms", "kmsKeyId": KEY}
Open = Callable[..., S3Store]


def headers_of(encryption: dict[str, Any]) -> dict[str, str]:
    return {TYPE_HEADER: encryption["type"]} | ({KEY_HEADER: KEY} if encryption["kmsKeyId"] else {})


@pytest.fixture(params=[AES, KMS, KMS_WITH_KEY], ids=["AES256", "aws:kms", "aws:kms with a key"])
def encryption(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a run asks for."""
    made: dict[str, Any] = request.param
    return made


@pytest.fixture
def gate(moto_endpoint: str, encryption: dict[str, Any]) -> Iterator[PolicyGate]:
    """A server that demands exactly that."""
    with serve(moto_endpoint, headers_of(encryption)) as made:
        yield made


@pytest.fixture
def opened(
    make_config: Callable[..., AgentConfig], gate: PolicyGate, fresh_bucket: str, encryption: dict[str, Any]
) -> Open:
    """Opens the bucket behind the gate, as a run does."""

    def make(limits: Limits = WORK, **storage: Any) -> S3Store:
        config = make_config(**{"endpoint": gate.endpoint, "bucket": fresh_bucket, "encryption": encryption} | storage)
        return open_store(config, fresh_bucket, limits=limits)

    return make


def upload(store: S3Store, size: int) -> str:
    return store.upload("large", io.BytesIO(b"x" * size), size=size)


WRITES: list[tuple[str, Limits, Callable[[S3Store], Any], list[str]]] = [
    ("put", WORK, lambda store: store.put("k", b"x"), ["PUT /k"]),
    ("put with boto3", PREFLIGHT, lambda store: store.put("k", b"x"), ["PUT /k"]),
    ("conditional put", WORK, lambda store: store.put("k", b"x", if_absent=True), ["PUT /k"]),
    ("upload with obstore", WORK, lambda store: upload(store, 100), ["PUT /large"]),
    ("upload with boto3", PREFLIGHT, lambda store: upload(store, 100), ["PUT /large"]),
    ("upload in parts", WORK, lambda store: upload(store, WHOLE + PART), ["POST /large?uploads"]),
]


@pytest.mark.parametrize(
    ("limits", "write", "requests"), [case[1:] for case in WRITES], ids=[case[0] for case in WRITES]
)
def test_every_write_asks_for_it(
    opened: Open,
    gate: PolicyGate,
    fresh_bucket: str,
    limits: Limits,
    write: Callable[[S3Store], Any],
    requests: list[str],
) -> None:
    write(opened(limits))
    assert (gate.created, gate.denied) == ([line.replace("/", f"/{fresh_bucket}/", 1) for line in requests], [])


def test_what_a_run_writes_is_encrypted(
    gate: PolicyGate, run: Run, encryption: dict[str, Any], moto_endpoint: str, fresh_bucket: str
) -> None:
    run.document["storage"] |= {"endpoint": gate.endpoint, "encryption": encryption}
    preflight.probe(run.pod("prep").out, run.run_keys, "pod")
    store_prepared(run)
    assert (len(gate.created) > 8, gate.denied) == (True, [])
    client = boto3.client(
        "s3",
        endpoint_url=moto_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    found = [
        client.head_object(Bucket=fresh_bucket, Key=item["Key"])
        for item in client.list_objects_v2(Bucket=fresh_bucket)["Contents"]
    ]
    client.close()
    assert len(found) > 6
    assert {answer["ServerSideEncryption"] for answer in found} == {encryption["type"]}
    assert {answer.get("SSEKMSKeyId") == KEY for answer in found} == {encryption["kmsKeyId"] is not None}


def test_obstore_does_the_bulk_of_it(opened: Open, gate: PolicyGate) -> None:
    """A denied write would be repeated by boto3, unseen."""
    store = opened()
    bulk = store._bulk
    assert bulk is not None
    bulk.put("k", b"x")
    assert (len(gate.created), gate.denied) == (1, [])


def test_a_run_without_it_is_told_of_the_policy(opened: Open, gate: PolicyGate) -> None:
    with pytest.raises(StageError) as caught:
        opened(encryption=None).put("k", b"x")
    error = caught.value
    assert (error.outcome, error.reason, gate.created) == (Outcome.STORAGE_REFUSED, "AccessDenied", [])
    assert error.hint.endswith(
        "then raise spec.retry. If a policy of the bucket demands encryption, create a new TrainingRun with"
        " spec.storage.encryption."
    )
    with pytest.raises(StageError) as caught:
        upload(opened(encryption=None), WHOLE + 1)
    assert "demands encryption" in caught.value.hint


def _xml(code: str, text: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "text", "reason"),
    [
        (400, "KMS.DisabledException", "key is disabled", "EncryptionRefused"),
        (400, "KMS.NotFoundException", "Invalid keyId", "EncryptionRefused"),
        (403, "AccessDenied", "not authorized to perform: kms:GenerateDataKey", "EncryptionRefused"),
        (
            400,
            "InvalidArgument",
            "Server Side Encryption with KMS needs a header",
            "EncryptionRefused",
        ),
        (501, "NotImplemented", "A header you provided implies functionality", "EncryptionRefused"),
        (501, "XNotImplemented", "no", "EncryptionRefused"),
        (403, "AccessDenied", "no", "AccessDenied"),
        (400, "InvalidRequest", "no", "RequestRefused"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_a_server_says_of_encryption_is_explained(
    opened: Open, gate: PolicyGate, encryption: dict[str, Any], status: int, code: str, text: str, reason: str
) -> None:
    gate.answer = status, _xml(code, text)
    with pytest.raises(StageError) as caught:
        opened(PREFLIGHT).put("k", b"x")
    error = caught.value
    assert (error.outcome, error.reason) == (Outcome.STORAGE_REFUSED, reason)
    if reason == "EncryptionRefused":
        shown = encryption["type"] + (f" and key {KEY}" if encryption["kmsKeyId"] else "")
        assert f"with encryption {shown} failed: {status} {code}, {text}" in error.message
        assert "create a new TrainingRun with another spec.storage.encryption" in error.hint


def test_a_policy_that_demands_another_encryption_is_named(
    opened: Open, gate: PolicyGate, encryption: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = _xml(
        "AccessDenied", "not authorized to perform: s3:PutObject with an explicit deny in a resource-based policy"
    )
    monkeypatch.setattr(policy_gate, "DENIED", denied)
    other = AES if encryption is not AES else KMS
    with pytest.raises(StageError) as caught:
        opened(PREFLIGHT, encryption=other).put("k", b"x")
    assert (caught.value.reason, gate.created) == ("AccessDenied", [])
    assert f"with encryption {other['type']} failed: 403 AccessDenied" in caught.value.message
    assert "demands another encryption, create a new TrainingRun with another spec.storage" in caught.value.hint


FAILING = 500, _xml("InternalError", "We encountered an internal error, please try again.")


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("encryption", [AES, KMS_WITH_KEY], ids=["AES256", "aws:kms with a key"], indirect=True)
def test_a_server_that_fails_for_encryption_alone_refuses_it(
    make_config: Callable[..., AgentConfig], encryption: dict[str, Any], if_absent: bool
) -> None:
    with odd_s3.serve(odd_s3.Oddities(encrypted=Answer(*FAILING))) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint, encryption=encryption), "detectors", limits=PREFLIGHT)
        with pytest.raises(StageError) as caught:
            store.put("k", b"x", if_absent=if_absent)
    error = caught.value
    assert (error.outcome, error.reason, bucket.objects) == (Outcome.STORAGE_REFUSED, "EncryptionRefused", {})
    assert f"with encryption {encryption['type']}" in error.message
    assert "500 InternalError, We encountered an internal error" in error.message
    assert "spec.storage.encryption" in error.hint
    assert bucket.requests == ["PUT k?", "PUT k.unencrypted?", "PUT k.unencrypted?", "DELETE k.unencrypted?"]


@pytest.mark.parametrize("encryption", [AES], ids=["AES256"], indirect=True)
@pytest.mark.parametrize(
    ("failures", "requests"),
    [
        (1, ["PUT k?", "PUT k.unencrypted?", "PUT k.unencrypted?", "DELETE k.unencrypted?"]),
        (2, ["PUT k?", "PUT k.unencrypted?"]),
    ],
    ids=["once", "without encryption too"],
)
def test_a_server_that_fails_for_another_cause_is_waited_for(
    make_config: Callable[..., AgentConfig], encryption: dict[str, Any], failures: int, requests: list[str]
) -> None:
    with odd_s3.serve(odd_s3.Oddities(failing=failures)) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint, encryption=encryption), "detectors", limits=PREFLIGHT)
        with pytest.raises(StorageOutage):
            store.put("k", b"x")
        assert (bucket.requests, bucket.objects) == (requests, {})
        store.put("k", b"x")
        bucket.odd.failing, asked = 1, len(bucket.requests)
        with pytest.raises(StorageOutage):  # it is known by now that it encrypts
            store.put("k", b"x")
        assert bucket.requests[asked:] == ["PUT k?"]


def test_reads_do_not_ask_for_it(opened: Open, gate: PolicyGate) -> None:
    store = opened()
    store.put("k", b"x")
    assert store.get("k", max_bytes=1) == store.get_range("k", start=0, length=1) == b"x"
    assert [info.key for info in store.list("")] == ["k"]
    assert store.head("k") is not None
    store.delete("k")
    assert gate.denied == []
