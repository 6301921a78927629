"""Servers that are odd in several ways at once, or for one answer only: nothing is learned wrongly for good."""

from __future__ import annotations

import hashlib
import io
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from endless_s3 import serve as serve_listing
from odd_s3 import CHECKSUM_MISSING, Answer, OddS3, Stored, refusal
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import ObjectChanged, StageError, StorageOutage, StorageRefused
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.storage import bounded_answers, epochs, preflight
from trainingrun_agent.storage.client import PREFLIGHT
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.storage.retry import Retrier, RetryingStore
from trainingrun_agent.storage.s3 import S3Store, open_store
from trainingrun_agent.storage.writes import WHOLE

pytestmark = pytest.mark.contract
RUN = RunKeys("ml/runs/team-a/tire-0123abcd")
POD = "11112222-3333-4444-5555-666677778888"
OTHER_POD = "99992222-3333-4444-5555-666677778888"
Open = Callable[..., tuple[OddS3, S3Store]]
NOT_IMPLEMENTED = refusal(501, "NotImplemented", "A header you provided implies functionality")


def other_etag(stored: Stored) -> str:
    return f'W/"{stored.etag[::-1]}"'


ODD_IN_ALL: dict[str, dict[str, Any]] = {
    "a gateway": {
        "get_etag": other_etag,
        "tokens": "none",
        "ranges": False,
        "condition": NOT_IMPLEMENTED,
        "lacking": ("KeyCount", "Name", "Content-Length"),
    },
    "an old server": {
        "get_etag": lambda _: "",
        "version_2": "refused",
        "start_after": False,
        "condition": "ignored",
        "list_modified": "%a, %d %b %Y %H:%M:%S GMT",
    },
    "a locked bucket behind a proxy": {
        "get_etag": other_etag,
        "tokens": "same",
        "checksum": CHECKSUM_MISSING,
        "condition": Answer(400, b"<html>Bad Request</html>"),
        "deletion": refusal(403, "AccessDenied", "protected by object lock"),
        "head_headers": {"ETag": ""},
    },
}


@pytest.mark.parametrize("oddities", ODD_IN_ALL.values(), ids=ODD_IN_ALL)
def test_a_server_that_is_odd_in_every_way_can_be_used(odd: Open, oddities: dict[str, Any], tmp_path: Path) -> None:
    bucket, store = odd(list_pages=2, **oddities)
    preflight.probe(store, RUN, POD)
    assert [epochs.claim(store, RUN, pod) for pod in (POD, OTHER_POD)] == [1, 2]
    photos = {f"train/{number}.jpg": hashlib.sha256(bytes([number])).digest() for number in range(7)}
    for key, data in photos.items():
        store.put(key, data)
    listed = list(store.list("train/"))
    assert [info.key for info in listed] == list(photos)
    assert [store.get(info.key, max_bytes=info.size, etag=info.etag) for info in listed] == list(photos.values())
    shard = bytes(range(256)) * (WHOLE >> 8) + b"end"
    digest = store.upload("shard", io.BytesIO(shard), size=len(shard))
    assert store.download("shard", tmp_path / "shard", size=len(shard), sha256=digest) == digest
    assert store.get_range("shard", start=1000, length=9) == shard[1000:1009]
    bucket.store("train/3.jpg", b"replaced" * 4)
    with pytest.raises(ObjectChanged):
        store.get("train/3.jpg", max_bytes=32, etag=listed[3].etag)


def for_once(bucket: OddS3, answer: Answer, *, when: Callable[[Mapping[str, str]], bool]) -> None:
    """Have the server answer one of these puts so, and then as it should."""
    put = bucket._put

    def once(key: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if when(headers):
            bucket._put = put  # type: ignore[method-assign]
            return answer
        return put(key, headers, body)

    bucket._put = once  # type: ignore[method-assign]


@pytest.mark.parametrize("answer", [NOT_IMPLEMENTED, Answer(400, b"<html>Bad Request</html>")], ids=["501", "a proxy"])
@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_one_odd_answer_is_no_server_without_conditional_writes(odd: Open, answer: Answer, taken: bool) -> None:
    """Without them, two pods may claim the same epoch."""
    bucket, store = odd()
    if taken:
        bucket.store("k", b"other")
    for_once(bucket, answer, when=lambda headers: "if-none-match" in headers)
    assert store.put("k", b"1", if_absent=True) is not taken
    assert store.traits.conditional_writes
    assert bucket.requests == ["PUT k?", "PUT k?"]


def test_a_claim_whose_answer_a_proxy_replaced_is_kept(odd: Open) -> None:
    bucket, store = odd()
    put, seen = bucket._put, []

    def lost(key: str, headers: Mapping[str, str], body: bytes) -> Answer:
        seen.append(key)
        answer = put(key, headers, body)
        return Answer(501) if len(seen) == 1 else answer

    bucket._put = lost  # type: ignore[method-assign]
    assert epochs.claim(store, RUN, POD) == 1
    assert store.traits.conditional_writes


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("BadDigest", "The Content-MD5 or checksum value that you specified did not match what the server received."),
        ("InvalidDigest", "The Content-MD5 you specified is not valid."),
    ],
    ids=["BadDigest", "InvalidDigest"],
)
def test_bytes_that_were_damaged_once_are_no_demand_for_checksums(odd: Open, code: str, text: str) -> None:
    bucket, store = odd()
    for_once(bucket, refusal(400, code, text), when=lambda _: True)
    with pytest.raises(StorageOutage, match=code):
        store.put("k", b"1")
    store.put("k", b"1")
    assert not store.traits.wants_md5
    assert len(bucket.requests) == 2


def test_a_range_that_is_ignored_costs_no_memory(odd: Open) -> None:
    """The mirror asks for the end of files of events, which may be large."""
    bucket, store = odd(ranges=False)
    size = 64 << 20
    bucket.store("events", b"".join((bytes(size - 3), b"end")))
    tracemalloc.start()
    try:
        assert store.get_range("events", start=size - 3, length=9) == b"end"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("begins", "found"), [("bytes 2-9/10", b"3456"), ("bytes", b"3456"), ("bytes 7-9/10", None)], ids=str
)
def test_a_part_is_what_the_server_says_that_it_is(odd: Open, begins: str, found: bytes | None) -> None:
    bucket, store = odd(get_headers={"Content-Range": begins})
    bucket.store("k", b"0123456789")
    begin = int(begins.partition("-")[0].removeprefix("bytes ") if "-" in begins else 3)
    bucket._get = lambda *_: Answer(206, b"0123456789"[begin:], {"Content-Range": begins})  # type: ignore[method-assign]
    if found is not None:
        assert store.get_range("k", start=3, length=4) == found
        return
    with pytest.raises(StorageRefused, match=r"the answer is not S3 \(a part that was not asked for\)"):
        store.get_range("k", start=3, length=4)


ENTRY = (
    "<Contents><Key>train/{}</Key><Size>9</Size><ETag>&quot;0a&quot;</ETag>"
    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
)


def page(*names: str, said: str = "", token: str = "") -> str:
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult><Name>b</Name>{said}{following}{''.join(map(ENTRY.format, names))}</ListBucketResult>"


def test_a_page_that_names_a_next_one_is_not_the_last(make_config: Callable[..., AgentConfig]) -> None:
    pages = [page("a.jpg", token="t"), page("b.jpg")]
    with serve_listing("train/", 0, lambda count: pages[count - 1]) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        assert [info.key for info in store.list("train/")] == ["train/a.jpg", "train/b.jpg"]


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_is_listed_than_was_asked_for(make_config: Callable[..., AgentConfig], limit: int) -> None:
    whole = page("a.jpg", "b.jpg", "c.jpg", said="<IsTruncated>false</IsTruncated>")
    with serve_listing("train/", 0, lambda _: whole) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        assert len(list(store.list("train/", limit=limit))) == limit


@pytest.mark.parametrize("ordered", [True, False])
def test_a_listing_without_order_does_not_lose_keys_in_an_outage(
    make_config: Callable[..., AgentConfig], fake_clock: Any, ordered: bool
) -> None:
    names = ("a.jpg", "b.jpg") if ordered else ("b.jpg", "a.jpg")
    more, last = "<IsTruncated>true</IsTruncated>", "<IsTruncated>false</IsTruncated>"
    pages = [page(*names, said=more, token="t"), "<broken", page("c.jpg", said=last)]
    with serve_listing("train/", 0, lambda count: pages[count - 1]) as bucket:
        retrier = Retrier(
            tolerance_seconds=60,
            health=StorageHealth(lambda _: None, clock=fake_clock),
            stop=threading.Event(),
            clock=fake_clock,
        )
        bare = open_store(make_config(endpoint=bucket.endpoint), "detectors", limits=PREFLIGHT)
        listing = RetryingStore(bare, retrier).list("train/")
        assert [next(listing).key for _ in names] == [f"train/{name}" for name in names]
        if ordered:
            assert [info.key for info in listing] == ["train/c.jpg"]
            return
        with pytest.raises(StorageRefused, match="it was interrupted, and keys are not in order") as caught:
            list(listing)
    assert caught.value.reason == "ListingEndless"


BOMB = '<!DOCTYPE r [<!ENTITY a "{}">]>'.format("x" * 100_000)


@pytest.mark.parametrize(
    "read",
    [lambda store: list(store.list("train/")), lambda store: store.get("k", max_bytes=9)],
    ids=["listing", "error"],
)
def test_entities_are_not_expanded(odd: Open, read: Callable[[S3Store], object]) -> None:
    """They would take a hundred times the memory of the answer."""
    bucket, store = odd()
    body = f"<?xml version='1.0'?>{BOMB}<Error><Code>AccessDenied</Code><Message>{'&a;' * 90}</Message></Error>"
    bucket.answer = lambda *_: Answer(403, body.encode())  # type: ignore[method-assign]
    with pytest.raises(StageError, match=r"the answer is not S3 \(an answer that defines entities\)") as caught:
        read(store)
    assert caught.value.reason == "EndpointNotS3"


@pytest.mark.parametrize(
    "read",
    [lambda store: store.get("k", max_bytes=9), lambda store: list(store.list("k"))],
    ids=["object", "listing"],
)
def test_an_error_whose_document_breaks_off_is_an_outage(
    odd: Open, make_config: Callable[..., AgentConfig], read: Callable[[S3Store], object]
) -> None:
    bucket, _ = odd()
    broken = Answer(503, b"9\r\n<Error>", {"Transfer-Encoding": "chunked", "Connection": "close"})
    bucket.answer = lambda *_: broken  # type: ignore[method-assign]
    store = open_store(make_config(endpoint=bucket.endpoint), "detectors", limits=PREFLIGHT)
    with pytest.raises(StorageOutage, match=r"connection (broken while reading|closed before an answer)") as caught:
        read(store)
    assert caught.value.reason == "EndpointUnreachable"


def test_an_error_without_end_is_not_read(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_answers, "MAX_ANSWER_BYTES", 1000)
    bucket, store = odd()
    bucket.answer = lambda *_: Answer(503, bytes(2000))  # type: ignore[method-assign]
    with pytest.raises(StorageRefused, match=r"the answer is not S3 \(an answer of more than 1000 bytes\)"):
        store.get("k", max_bytes=9)
