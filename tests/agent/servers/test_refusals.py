"""Refusals: the agent names the same reason for them whatever the server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.reasons.storage import BUCKET_NOT_FOUND, CLOCK_SKEW, INVALID_CREDENTIALS
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.client import PREFLIGHT
from trainingrun_agent.storage.s3 import S3Store, open_store

pytestmark = pytest.mark.s3
CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "list": lambda store: list(store.list("a/")),
    "put": lambda store: store.put("k", b"x"),
    "conditional put": lambda store: store.put("k", b"x", if_absent=True),
    "get": lambda store: store.get("k", max_bytes=1),
    "delete": lambda store: store.delete("k"),
}


def refused(call: Callable[[ObjectStore], object], store: ObjectStore) -> str:
    """The reason for which a call is refused."""
    with pytest.raises(StorageRefused) as caught:
        call(store)
    return caught.value.reason


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("file", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_keys_are_refused(s3_config: AgentConfig, file: str, call: Callable[[ObjectStore], object]) -> None:
    bucket = s3_config.resolved.storage.bucket
    open_store(s3_config, bucket).put("k", b"1")
    (s3_config.credentials_dir / file).write_text("AKIAIOSFODNN7EXAMPLE")
    assert refused(call, open_store(s3_config, bucket, limits=PREFLIGHT)) == INVALID_CREDENTIALS.name


@pytest.mark.parametrize("call", ["list", "put", "conditional put", "get"])
def test_a_bucket_that_does_not_exist_is_named(s3_config: AgentConfig, call: str) -> None:
    bucket = f"no-such-bucket-{call.replace(' ', '-')}"
    store = open_store(s3_config, bucket, limits=PREFLIGHT)
    assert refused(CALLS[call], store) == BUCKET_NOT_FOUND.name


@pytest.mark.parametrize("encryption", ["AES256", "aws:kms"])
def test_encryption_is_done_ignored_or_refused_at_the_first_write(
    make_config: Any, s3_config: AgentConfig, encryption: str
) -> None:
    """A server without a key service may fail with an error of its own, which must not be waited for."""
    storage = s3_config.resolved.storage
    asking = {"type": encryption, "kmsKeyId": None}
    config = make_config(endpoint=storage.endpoint, bucket=storage.bucket, encryption=asking)
    store = open_store(config, storage.bucket, limits=PREFLIGHT)
    try:
        store.put("k", b"x", if_absent=True)
    except StorageRefused as refusal:
        assert refusal.reason == "EncryptionRefused"  # noqa: PT017 - one of two good outcomes
        assert "spec.storage.encryption" in refusal.hint  # noqa: PT017
        assert list(store.list("k")) == []
    else:
        assert store.get("k", max_bytes=1) == b"x"


def test_clocks_that_differ_by_an_hour_are_noticed(s3_config: AgentConfig) -> None:
    class Ahead(Clock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=1)

    store = open_store(s3_config, s3_config.resolved.storage.bucket, clock=Ahead(), limits=PREFLIGHT)
    assert refused(CALLS["list"], store) == CLOCK_SKEW.name


def test_another_region_works_or_is_named(make_config: Any, s3_config: AgentConfig) -> None:
    """Many servers take any region; those that do not must say which one is theirs, or at least that it is wrong."""
    storage = s3_config.resolved.storage
    other = make_config(endpoint=storage.endpoint, region="eu-west-7", bucket=storage.bucket)
    store: S3Store = open_store(other, storage.bucket, limits=PREFLIGHT)
    try:
        store.put("k", b"x")
    except StorageRefused as refusal:
        assert refusal.reason == "WrongRegion"  # noqa: PT017 - one of two good outcomes
