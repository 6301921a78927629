"""Servers whose ETags differ between listing and reading, or are missing: only replaced objects count as changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from odd_s3 import Answer, OddS3, Stored
from trainingrun_agent.errors import ObjectChanged
from trainingrun_agent.storage import versions
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.contract
Open = Callable[..., tuple[OddS3, S3Store]]
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
    for number in range(10):
        bucket.store(f"train/{number}.jpg", b"x")
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
