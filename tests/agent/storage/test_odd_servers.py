"""Servers that do not keep to S3 in everything: each oddity on the wire, and what the agent makes of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from odd_s3 import CHECKSUM_MISSING, LOCK_HEADERS, Answer, Oddities, OddS3, Stored, serve
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import ObjectChanged, ObjectLocked, StageError, StorageRefused
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import epochs, preflight, versions
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.bulk import open_bulk
from trainingrun_agent.storage.client import PREFLIGHT, WORK
from trainingrun_agent.storage.s3 import S3Store, open_store
from trainingrun_agent.storage.stores import Stores
from trainingrun_agent.storage.web_identity import credentials_of
from trainingrun_agent.storage.writes import WHOLE

pytestmark = pytest.mark.contract
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
POD = "11112222-3333-4444-5555-666677778888"
OTHER_POD = "99992222-3333-4444-5555-666677778888"
Open = Callable[..., tuple[OddS3, S3Store]]


@pytest.fixture
def odd(make_config: Callable[..., AgentConfig]) -> Iterator[Open]:
    """Run an odd server and open its bucket."""
    with ExitStack() as servers:

        def start(**oddities: Any) -> tuple[OddS3, S3Store]:
            bucket = servers.enter_context(serve(Oddities(**oddities)))
            return bucket, open_store(make_config(endpoint=bucket.endpoint), "detectors")

        yield start


@pytest.fixture(params=["obstore", "boto3"])
def by(request: pytest.FixtureRequest) -> Callable[[S3Store], S3Store]:
    """Have a store read and write with one of the clients."""

    def choose(store: S3Store) -> S3Store:
        if request.param == "boto3":
            store._bulk = None
        return store

    return choose


# Conditional writes


def refusal(status: int, code: str, message: str = "no") -> Answer:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


HTML = {"Content-Type": "text/html"}
REFUSED_CONDITIONS = {
    "501": refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
    "400 InvalidArgument": refusal(400, "InvalidArgument"),
    "400 InvalidRequest": refusal(400, "InvalidRequest", "If-None-Match is not supported"),
    "405": refusal(405, "MethodNotAllowed"),
    "501 of a web server": Answer(501, b"<html>Not Implemented</html>", HTML),
    "400 of a web server": Answer(400, b"<html>Bad Request</html>", HTML),
    "501 without a body": Answer(501),
}


@pytest.mark.parametrize("answer", REFUSED_CONDITIONS.values(), ids=REFUSED_CONDITIONS)
def test_refused_conditions_are_done_without(odd: Open, answer: Answer) -> None:
    bucket, store = odd(condition=answer)
    assert store.put("k", b"1", if_absent=True)
    assert not store.traits.conditional_writes
    asked = len(bucket.requests)
    assert not store.put("k", b"2", if_absent=True)
    assert store.put("other", b"3", if_absent=True)
    assert bucket.requests[asked:] == ["HEAD k?", "HEAD other?", "PUT other?"]
    assert (store.get("k", max_bytes=9), store.get("other", max_bytes=9)) == (b"1", b"3")


@pytest.mark.parametrize("status", [304, 412])
def test_a_key_that_exists_is_not_written(odd: Open, status: int) -> None:
    bucket, store = odd(condition=Answer(status))
    assert not store.put("k", b"2", if_absent=True)
    assert store.traits.conditional_writes
    assert bucket.requests == ["PUT k?"]


def test_a_refused_condition_never_overwrites(odd: Open) -> None:
    """Whether the condition was refused, or the key, is not known."""
    bucket, store = odd(condition=REFUSED_CONDITIONS["501"])
    bucket.store("k", b"1")
    assert not store.put("k", b"2", if_absent=True)
    assert store.traits.conditional_writes
    assert store.get("k", max_bytes=9) == b"1"


def test_a_write_that_fails_without_condition_too_says_why(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, store = odd(condition=REFUSED_CONDITIONS["400 InvalidArgument"])
    monkeypatch.setattr(bucket, "_checked", lambda *_: refusal(400, "EntityTooLarge", "too large"))
    with pytest.raises(StorageRefused, match=r"PutObject on s3://detectors/k at .* failed: 400 EntityTooLarge"):
        store.put("k", b"1", if_absent=True)
    assert store.traits.conditional_writes


NOT_ABOUT_CONDITIONS = {
    "a token that expired": (refusal(400, "ExpiredToken"), "InvalidCredentials"),
    "a request that took too long": (refusal(400, "RequestTimeout"), "ServerError"),
    "another region": (refusal(400, "AuthorizationHeaderMalformed"), "WrongRegion"),
    "a second writer": (refusal(409, "ConditionalRequestConflict"), "ServerError"),
    "no right": (refusal(403, "AccessDenied"), "AccessDenied"),
    "a server that is down": (refusal(503, "SlowDown"), "ServerError"),
}


@pytest.mark.parametrize(("answer", "reason"), NOT_ABOUT_CONDITIONS.values(), ids=NOT_ABOUT_CONDITIONS)
def test_an_answer_with_another_meaning_is_not_about_the_condition(
    make_config: Callable[..., AgentConfig], answer: Answer, reason: str
) -> None:
    with serve(Oddities(condition=answer)) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors", limits=PREFLIGHT)
        with pytest.raises(StageError) as caught:
            store.put("k", b"1", if_absent=True)
    assert caught.value.reason == reason
    assert bucket.requests == ["PUT k?"]
    assert store.traits.conditional_writes


@pytest.mark.parametrize("condition", ["ignored", REFUSED_CONDITIONS["501"]], ids=["ignored", "refused"])
def test_the_preflight_warns_and_later_stores_know(
    make_config: Callable[..., AgentConfig], fake_clock: Any, condition: Any
) -> None:
    with serve(Oddities(condition=condition)) as bucket:
        progress = Progress(stage="prep", pod_uid=POD)
        stores = Stores(
            make_config(endpoint=bucket.endpoint), progress=progress, stop=threading.Event(), clock=fake_clock
        )
        stores.open_quick("detectors")._store._clock_checked = True  # type: ignore[attr-defined]
        (warning,) = preflight.probe(stores.open_quick("detectors"), RUN, POD)
        assert warning.startswith("ConditionalWritesIgnored: the storage server refuses or ignores If-None-Match")
        assert not bucket.objects
        asked = len(bucket.requests)
        assert stores.open("detectors").put("k", b"1", if_absent=True)
        assert bucket.requests[asked:] == ["HEAD k?", "PUT k?"]


@pytest.mark.parametrize(
    "condition", ["honoured", "ignored", REFUSED_CONDITIONS["501"]], ids=["", "ignored", "refused"]
)
def test_epochs_are_claimed_without_conditions(odd: Open, condition: Any) -> None:
    _, store = odd(condition=condition)
    preflight.probe(store, RUN, POD)
    assert [epochs.claim(store, RUN, pod) for pod in (POD, OTHER_POD)] == [1, 2]


def test_a_claim_that_another_pod_overwrote_is_not_kept(odd: Open) -> None:
    bucket, store = odd(condition="ignored")
    store.traits.conditional_writes = False
    put = bucket._put

    def overwritten(key: str, headers: Any, body: bytes) -> Answer:
        answer = put(key, headers, body)
        if key == RUN.epoch(1):
            bucket.store(key, body.replace(POD.encode(), OTHER_POD.encode()))
        return answer

    bucket._put = overwritten  # type: ignore[method-assign]
    assert epochs.claim(store, RUN, POD) == 2


# Listings

KEYS = [f"train/{number:02d} é+&%41.jpg" for number in range(10)]
PAGING: dict[str, tuple[dict[str, Any], int]] = {
    "S3": ({}, 4),
    "no tokens": ({"tokens": "none"}, 4),
    "no tokens, and no version 1": ({"tokens": "none", "version_1": refusal(400, "InvalidRequest")}, 4),
    "the same token each time": ({"tokens": "same"}, 5),
    "tokens ignored": ({"tokens": "ignored"}, 5),
    "version 1 for version 2": ({"version_2": "as version 1"}, 5),
    "no version 2": ({"version_2": "refused"}, 8),
    "neither tokens nor StartAfter": ({"tokens": "ignored", "start_after": False}, 6),
    "no StartAfter": ({"start_after": False}, 4),
    "no KeyCount": ({"lacking": ("KeyCount",)}, 4),
    "keys not encoded": ({"encodes": False}, 4),
    "keys not encoded, no tokens": ({"encodes": False, "tokens": "none"}, 4),
    "no name of the bucket": ({"lacking": ("KeyCount", "Name")}, 4),
}


@pytest.mark.parametrize(("oddities", "requests"), PAGING.values(), ids=PAGING)
def test_a_listing_is_whole(odd: Open, oddities: dict[str, Any], requests: int) -> None:
    bucket, store = odd(list_pages=3, **oddities)
    for key in [*KEYS, "train.txt", "trainer/a.jpg"]:
        bucket.store(key, b"x")
    assert [info.key for info in store.list("train/")] == KEYS
    assert bucket.count("GET ?") == requests
    assert [info.key for info in store.list("train/", start_after=KEYS[4])] == KEYS[5:]
    assert [info.key for info in store.list("train/", limit=5)] == KEYS[:5]


FOLDERS = ["f/a/1.jpg", "f/b.jpg", "f/b/1.jpg", "f/b/2.jpg", "f/b0.jpg", "f/c é+/1.jpg", "f/d.jpg", "f/e/1.jpg"]


@pytest.mark.parametrize("pages", [1, 2, 3])
@pytest.mark.parametrize("oddities", [case for case, _ in PAGING.values()], ids=PAGING)
def test_folders_are_whole(odd: Open, oddities: dict[str, Any], pages: int) -> None:
    bucket, store = odd(list_pages=pages, **oddities)
    for key in [*FOLDERS, "f/"]:
        bucket.store(key, b"x")
    found = store.children("f/")
    assert [info.key for info in found.files] == ["f/b.jpg", "f/b0.jpg", "f/d.jpg"]
    assert found.folders == ["f/a/", "f/b/", "f/c é+/", "f/e/"]


ENDLESS: dict[str, tuple[dict[str, Any], str]] = {
    "no way on": (
        {"tokens": "none", "start_after": False, "marker": False},
        "a page does not name the next one, and neither StartAfter nor Marker leads to a further key",
    ),
    "always the first page": (
        {"tokens": "ignored", "start_after": False, "marker": False},
        "a page came twice, and neither StartAfter nor Marker leads to a further key",
    ),
    "always the first page, and no version 1": (
        {"tokens": "same", "start_after": False, "version_1": refusal(400, "InvalidRequest")},
        "a page came twice, and neither StartAfter nor Marker leads to a further key",
    ),
    "no order and no token": (
        {"tokens": "none", "reverse": True},
        "a page does not name the next one, and keys are not in order",
    ),
}


@pytest.mark.parametrize(("oddities", "problem"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("read", [lambda store: list(store.list("train/")), lambda store: store.children("train/")])
def test_a_listing_that_cannot_go_on_is_refused(
    odd: Open, oddities: dict[str, Any], problem: str, read: Callable[[ObjectStore], object]
) -> None:
    bucket, store = odd(list_pages=3, **oddities)
    for key in KEYS:
        bucket.store(key, b"x")
    with pytest.raises(StorageRefused, match=problem) as caught:
        read(store)
    assert caught.value.reason == "ListingEndless"
    assert len(bucket.requests) <= 5


def test_a_denied_listing_of_version_1_names_the_right(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, store = odd(version_2="refused")
    page = bucket._list
    denied = refusal(403, "AccessDenied")
    monkeypatch.setattr(bucket, "_list", lambda query: page(query) if "list-type" in query else denied)
    with pytest.raises(StorageRefused) as caught:
        list(store.list("train/"))
    assert "s3:ListBucket" in caught.value.hint


# ETags

QUOTED: Callable[[Stored], str] = lambda stored: f'"{stored.etag}"'  # noqa: E731
OTHER: Callable[[Stored], str] = lambda stored: f'"gateway-{stored.etag}"'  # noqa: E731
WEAK: Callable[[Stored], str] = lambda stored: f'W/"{stored.etag}"'  # noqa: E731
NONE: Callable[[Stored], str] = lambda stored: ""  # noqa: E731
EMPTY: Callable[[Stored], str] = lambda stored: '""'  # noqa: E731
ETAGS: dict[str, tuple[dict[str, Any], int]] = {
    "S3": ({}, 0),
    "weak when read": ({"get_etag": WEAK}, 0),
    "weak when listed": ({"list_etag": WEAK}, 0),
    "weak in both": ({"list_etag": WEAK, "get_etag": WEAK}, 0),
    "other when read": ({"get_etag": OTHER}, 2),
    "other when listed": ({"list_etag": OTHER}, 2),
    "none when read": ({"get_etag": NONE}, 2),
    "empty when read": ({"get_etag": EMPTY}, 2),
    "none when listed": ({"list_etag": NONE}, 2),
    "none at all": ({"list_etag": NONE, "get_etag": NONE}, 2),
    "other when read, other dates": ({"get_etag": OTHER, "list_modified": "%Y-%m-%dT%H:00:00Z"}, 22),
    "other when read, no date": ({"get_etag": OTHER, "lacking": ("Last-Modified",)}, 22),
}


@pytest.mark.parametrize(("oddities", "requests"), ETAGS.values(), ids=ETAGS)
def test_objects_are_as_they_were_listed(
    odd: Open, by: Callable[[S3Store], S3Store], oddities: dict[str, Any], requests: int, monkeypatch: Any
) -> None:
    """One request for a page of neighbours, and one more after the page: the ETags of 20 images are known then."""
    monkeypatch.setattr(versions, "PAGE", 15)
    bucket, store = odd(**oddities)
    by(store)
    for number in range(20):
        bucket.store(f"train/{number:02d}.jpg", b"%02d" % number)
    listed = list(store.list("train/"))
    asked = bucket.count("GET ?")
    for number, info in enumerate(listed):
        assert store.get(info.key, max_bytes=info.size, etag=info.etag) == b"%02d" % number
    assert bucket.count("GET ?") - asked == requests


@pytest.mark.parametrize("when", ["before the first is read", "after the first is read"])
@pytest.mark.parametrize("oddities", [case for case, _ in ETAGS.values()], ids=ETAGS)
def test_an_object_replaced_after_it_was_listed_is_found(
    odd: Open, by: Callable[[S3Store], S3Store], oddities: dict[str, Any], when: str
) -> None:
    bucket, store = odd(**oddities)
    by(store)
    bucket.store("train/a.jpg", b"first")
    bucket.store("train/b.jpg", b"first")
    one, other = store.list("train/")
    if when == "after the first is read":
        assert store.get(one.key, max_bytes=5, etag=one.etag) == b"first"
    bucket.store("train/b.jpg", b"other")  # of the same size
    with pytest.raises(ObjectChanged, match=r"train/b\.jpg"):
        store.get(other.key, max_bytes=5, etag=other.etag)
    assert store.get(one.key, max_bytes=5, etag=one.etag) == b"first"


def test_an_object_deleted_after_it_was_read_is_not_taken_for_the_listed_one(odd: Open) -> None:
    bucket, store = odd(get_etag=OTHER)
    bucket.store("train/a.jpg", b"first")
    (info,) = store.list("train/")
    get = bucket._get

    def deleted(method: str, key: str, headers: Any) -> Answer:
        answer = get(method, key, headers)
        bucket.objects.pop(key, None)
        return answer

    bucket._get = deleted  # type: ignore[method-assign]
    with pytest.raises(ObjectChanged):
        store.get(info.key, max_bytes=5, etag=info.etag)


def test_what_is_remembered_of_objects_is_bounded(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PAGE", 2)
    monkeypatch.setattr(versions, "MAX_KNOWN", 4)
    bucket, store = odd(get_etag=OTHER)
    for key in KEYS:
        bucket.store(key, b"x")
    listed = list(store.list("train/"))
    asked = bucket.count("GET ?")
    for info in listed:
        store.get(info.key, max_bytes=1, etag=info.etag)
    assert len(store._versions._known) == 4
    assert bucket.count("GET ?") - asked == 2 + 6


def test_objects_without_etags_are_told_apart(odd: Open) -> None:
    """Equal ETags would mean equal content."""
    bucket, store = odd(list_etag=NONE, get_etag=NONE)
    bucket.store("a/classes.txt", b"cat")
    bucket.objects["b/classes.txt"] = bucket.objects["a/classes.txt"]._replace(data=b"dog")
    one, other = store.list("")
    assert one.etag != other.etag
    assert store.head(one.key) == one.__class__(one.key, 3, one.etag, one.modified.replace(microsecond=0))


# Checksums and Object Lock

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


# Headers and fields

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
