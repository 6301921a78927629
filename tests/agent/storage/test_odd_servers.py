"""Headers, dates and fields that servers and proxies leave out or write in another way."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odd_s3 import OddS3
from trainingrun_agent.errors import StageError, StorageRefused
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.storage import preflight
from trainingrun_agent.storage.s3 import S3Store
from trainingrun_agent.storage.writes import WHOLE

pytestmark = pytest.mark.contract
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
POD = "11112222-3333-4444-5555-666677778888"
Open = Callable[..., tuple[OddS3, S3Store]]
HEADERS: dict[str, dict[str, Any]] = {
    "S3": {},
    "names in upper case": {"upper_case": True},
    "HEAD without Content-Length": {"lacking": ("Content-Length",)},
    "HEAD without Last-Modified": {"lacking": ("Last-Modified",)},
    "HEAD with neither": {"lacking": ("Content-Length", "Last-Modified")},
    "dates without fractions": {"list_modified": "%Y-%m-%dT%H:%M:%SZ"},
    "dates without zone": {"list_modified": "%Y-%m-%dT%H:%M:%S.000"},
    "dates of HTTP": {"list_modified": "%a, %d %b %Y %H:%M:%S GMT"},
    "dates with offset": {"list_modified": "%Y-%m-%dT%H:%M:%S+00:00"},
    "Range is ignored": {"ranges": False},
    "416 without a document": {"range_error": b""},
    "416 of a web server": {"range_error": b"<html>"},
}


@pytest.mark.parametrize("oddities", HEADERS.values(), ids=HEADERS)
def test_what_headers_and_dates_look_like_does_not_matter(
    odd: Open, by: Callable[[S3Store], S3Store], oddities: dict[str, Any], tmp_path: Path
) -> None:
    bucket, store = odd(**oddities)
    by(store)
    for key in ("k", "k.old"):
        bucket.store(key, b"0123456789")
    bucket.store("empty", b"")
    head = store.head("k")
    assert head is not None
    assert (head.key, head.size, head.etag) == ("k", 10, hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest())
    assert abs((head.modified - bucket.objects["k"].modified).total_seconds()) < 1
    listed = [(info.key, info.size, int(info.modified.timestamp())) for info in store.list("k")]
    assert listed == [(key, 10, int(bucket.objects[key].modified.timestamp())) for key in ("k", "k.old")]
    assert store.head("missing") is None
    assert store.get_range("k", start=3, length=4) == b"3456"
    assert store.get_range("k", start=8, length=4) == b"89"
    assert store.get_range("k", start=10, length=4) == b""
    assert store.get_range("empty", start=0, length=1) == b""
    store.download("k", tmp_path / "k", size=10, sha256=hashlib.sha256(b"0123456789").hexdigest())
    assert (tmp_path / "k").read_bytes() == store.get("k", max_bytes=10, etag=head.etag) == b"0123456789"


def test_an_encoded_object_is_read_as_it_is_stored(odd: Open, by: Callable[[S3Store], S3Store], tmp_path: Path) -> None:
    """Its size is the one that was listed; nobody but its owner knows whether it was compressed once or twice."""
    bucket, store = odd(get_headers={"Content-Encoding": "gzip"})
    data = gzip.compress(b"text " * 100)
    bucket.store("k", data)
    (info,) = by(store).list("k")
    assert store.get("k", max_bytes=info.size, etag=info.etag) == data
    store.download("k", tmp_path / "k", size=info.size, sha256=None)
    assert (tmp_path / "k").read_bytes() == data


def test_an_object_without_a_date_counts_as_new(odd: Open) -> None:
    """What is old is deleted by `trainingrun prune`."""
    bucket, store = odd(lacking=("LastModified", "Last-Modified"))
    bucket.store("k", b"1")
    (info,) = store.list("k")
    assert (store._clock.now() - info.modified).total_seconds() < 60
    assert store.get("k", max_bytes=1, etag=info.etag) == b"1"


def test_an_object_that_shows_neither_size_nor_itself_in_listings_is_not_s3(odd: Open) -> None:
    bucket, store = odd(lacking=("Content-Length",))
    bucket.store("k", b"1")
    bucket._entries = lambda *_: []  # type: ignore[method-assign]
    with pytest.raises(StorageRefused, match="EndpointNotS3: HeadObject on s3://detectors/k"):
        store.head("k")


@pytest.mark.parametrize("times", [1, 100])
def test_an_upload_whose_completion_fails_with_200_is_not_complete(odd: Open, times: int) -> None:
    bucket, store = odd(completions_failing=times)
    data = bytes(WHOLE + 1)
    if times == 1:  # repeated by boto3
        store.upload("k", io.BytesIO(data), size=len(data))
        assert bucket.objects["k"].data == data
        return
    with pytest.raises(StageError, match="InternalError") as caught:
        store.upload("k", io.BytesIO(data), size=len(data))
    assert caught.value.reason == "ServerError"
    assert not bucket.objects


def test_a_good_server_is_asked_nothing_more(odd: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="trainingrun_agent")
    bucket, store = odd()
    assert preflight.probe(store, RUN, POD) == ()
    assert [request.partition(" ")[0] for request in bucket.requests] == [
        *("GET", "DELETE", "PUT", "PUT", "PUT", "GET", "DELETE")
    ]
    assert not caplog.messages
