"""Servers that do not name, or do not know, the next page of a listing: it is whole, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from odd_s3 import OddS3, refusal
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.contract
Open = Callable[..., tuple[OddS3, S3Store]]
KEYS = [f"train/{number:02d} é+&%41.jpg" for number in range(10)]
PAGING: dict[str, tuple[dict[str, Any], int]] = {
    "S3": ({}, 4),
    "no tokens": ({"tokens": "none"}, 4),
    "no tokens, and no version 1": ({"tokens": "none", "version_1": refusal(400, "InvalidRequest")}, 4),
    "the same token each time": ({"tokens": "same"}, 5),
    "tokens ignored": ({"tokens": "ignored"}, 5),
    "tokens refused": ({"tokens": refusal(400, "InvalidArgument", "The continuation token is incorrect")}, 5),
    "tokens refused as rclone does": ({"tokens": refusal(400, "InvalidToken")}, 5),
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
    "no order and tokens refused": (
        {"tokens": refusal(400, "InvalidToken"), "reverse": True},
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


def test_credentials_that_end_in_the_middle_of_a_listing_are_named(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials have a token too; the answer to a bad one is the same."""
    bucket, store = odd(list_pages=3)
    for key in KEYS:
        bucket.store(key, b"x")
    pages, ended = [bucket._list({"list-type": "2", "prefix": "train/"})], refusal(400, "InvalidToken")
    monkeypatch.setattr(bucket, "_list", lambda query: pages.pop() if pages else ended)
    with pytest.raises(StorageRefused) as caught:
        list(store.list("train/"))
    assert caught.value.reason == "InvalidCredentials"


def test_a_denied_listing_of_version_1_names_the_right(odd: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, store = odd(version_2="refused")
    page = bucket._list
    denied = refusal(403, "AccessDenied")
    monkeypatch.setattr(bucket, "_list", lambda query: page(query) if "list-type" in query else denied)
    with pytest.raises(StorageRefused) as caught:
        list(store.list("train/"))
    assert "s3:ListBucket" in caught.value.hint
