"""Servers that demand checksums, keep what is deleted, or miss what is to be deleted."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from odd_s3 import CHECKSUM_MISSING, HTML, LOCK_HEADERS, Answer, Oddities, OddS3, refusal, serve
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import ObjectLocked, StorageRefused
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import preflight
from trainingrun_agent.storage.bulk import open_bulk
from trainingrun_agent.storage.client import WORK
from trainingrun_agent.storage.s3 import S3Store
from trainingrun_agent.storage.stores import Stores
from trainingrun_agent.storage.web_identity import credentials_of
from trainingrun_agent.storage.writes import WHOLE

pytestmark = pytest.mark.contract
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
POD = "11112222-3333-4444-5555-666677778888"
Open = Callable[..., tuple[OddS3, S3Store]]
CHECKSUM_ANSWERS = {
    "AWS": CHECKSUM_MISSING,
    "part of an upload": ("InvalidRequest", CHECKSUM_MISSING[1].replace("Put Object", "Put Part")),
    "a code of its own": ("MissingContentMD5", "Missing required header for this request: Content-Md5."),
}


@pytest.mark.parametrize("checksum", CHECKSUM_ANSWERS.values(), ids=CHECKSUM_ANSWERS)
def test_a_checksum_is_sent_once_the_server_demands_it(odd: Open, checksum: tuple[str, str]) -> None:
    bucket, store = odd(checksum=checksum)
    assert store.put("k", b"1", if_absent=True)
    assert not store.put("k", b"2", if_absent=True)
    asked = len(bucket.requests)
    store.put("k", b"3")
    digest = store.upload("shard", io.BytesIO(b"records"), size=7)
    assert digest == hashlib.sha256(b"records").hexdigest()
    assert bucket.requests[asked:] == ["PUT k?", "PUT shard?"]
    assert (bucket.objects["k"].data, bucket.objects["shard"].data) == (b"3", b"records")


def test_a_small_upload_is_sent_with_a_checksum(odd: Open, by: Callable[[S3Store], S3Store]) -> None:
    bucket, store = odd(checksum=CHECKSUM_MISSING)
    by(store).upload("shard", io.BytesIO(b"records"), size=7)
    asked = len(bucket.requests)
    store.upload("other", io.BytesIO(b"records"), size=7)
    assert bucket.requests[asked:] == ["PUT other?"]


def test_an_upload_in_parts_is_sent_with_checksums(odd: Open) -> None:
    bucket, store = odd(checksum=CHECKSUM_MISSING)
    size = WHOLE + 3
    data = bytes(range(256)) * (size // 256) + b"end"
    moved: list[int] = []
    for key in ("a", "b"):
        digest = store.upload(key, io.BytesIO(data + b"later"), size=size, on_bytes=moved.append)
        assert digest == hashlib.sha256(data).hexdigest()
        assert bucket.objects[key].data == data
    assert sum(moved) == 2 * size
    assert bucket.count("POST b?uploads") == 1
    assert bucket.count("PUT b") == 3


def test_a_checksum_is_wanted_by_later_stores_too(make_config: Callable[..., AgentConfig], fake_clock: Any) -> None:
    with serve(Oddities(checksum=CHECKSUM_MISSING)) as bucket:
        stores = Stores(
            make_config(endpoint=bucket.endpoint),
            progress=Progress(stage="prep", pod_uid=POD),
            stop=threading.Event(),
            clock=fake_clock,
        )
        assert preflight.probe(stores.open_quick("detectors"), RUN, POD) == ()
        asked = len(bucket.requests)
        stores.open("detectors").upload("k", io.BytesIO(b"1"), size=1)
        assert bucket.requests[asked:] == ["PUT k?"]


def test_aws_gets_a_checksum_from_obstore_too(make_config: Callable[..., AgentConfig]) -> None:
    with serve(Oddities(checksum=CHECKSUM_MISSING)) as bucket:
        config = make_config(endpoint=None)
        bulk = open_bulk(
            config, "detectors", credentials_of(config), endpoint=bucket.endpoint, limits=WORK, clock=Clock()
        )
        assert bulk is not None
        bulk.put("shard", b"records")
    assert bucket.objects["shard"].data == b"records"


LOCKED: dict[str, dict[str, Any]] = {
    "a retention, seen in HEAD": {"deletion": refusal(403, "AccessDenied"), "head_headers": LOCK_HEADERS},
    "a legal hold, seen in HEAD": {
        "deletion": refusal(403, "AccessDenied"),
        "head_headers": {"x-amz-object-lock-legal-hold": "ON"},
    },
    "a retention, named": {
        "deletion": refusal(403, "AccessDenied", "Access Denied because object protected by object lock.")
    },
    "WORM": {"deletion": refusal(400, "InvalidRequest", "Object is WORM protected and cannot be overwritten")},
}


@pytest.mark.parametrize("oddities", LOCKED.values(), ids=LOCKED)
def test_a_bucket_that_keeps_what_is_deleted_is_warned_about(odd: Open, oddities: dict[str, Any]) -> None:
    bucket, store = odd(**oddities)
    for _ in range(2):  # a pod that restarts finds its object
        (warning,) = preflight.probe(store, RUN, POD)
        assert warning.startswith("DeletionsRefused: the bucket keeps what is deleted (Object Lock)")
    assert list(bucket.objects) == [RUN.preflight(POD)]
    with pytest.raises(ObjectLocked, match=r"ObjectLocked: s3://detectors/ml/.* cannot be deleted") as caught:
        store.delete(RUN.preflight(POD))
    assert caught.value.hint.startswith("Wait until its retention ends or remove its legal hold, then raise spec.retry")


def test_a_missing_right_to_delete_is_refused(odd: Open) -> None:
    _, store = odd(deletion=refusal(403, "AccessDenied", "Access Denied."))
    with pytest.raises(StorageRefused) as caught:
        preflight.probe(store, RUN, POD)
    assert caught.value.reason == "AccessDenied"
    assert "s3:DeleteObject" in caught.value.hint


MISSING = {
    "204": Answer(204),
    "NoSuchKey": refusal(404, "NoSuchKey"),
    "NoSuchObject": refusal(404, "NoSuchObject"),
    "NoSuchVersion": refusal(404, "NoSuchVersion"),
}


@pytest.mark.parametrize("answer", MISSING.values(), ids=MISSING)
def test_a_key_that_does_not_exist_can_be_deleted(odd: Open, answer: Answer) -> None:
    _, store = odd(missing_deletion=answer)
    store.delete("k")
    assert preflight.probe(store, RUN, POD) == ()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(refusal(404, "NoSuchBucket"), "BucketNotFound"), (Answer(404, b"<html>", HTML), "EndpointNotS3")],
    ids=["no bucket", "a web server"],
)
def test_other_404_of_a_deletion_are_errors(odd: Open, answer: Answer, reason: str) -> None:
    _, store = odd(missing_deletion=answer)
    with pytest.raises(StorageRefused) as caught:
        store.delete("k")
    assert caught.value.reason == reason
