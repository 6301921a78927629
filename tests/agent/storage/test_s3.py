"""What only the S3 store does, against a server over HTTP; the rest is in test_base.py."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing
from typing import Any

import pytest

from trainingrun_agent.storage.s3 import S3Store, open_store

pytestmark = [pytest.mark.contract, pytest.mark.s3]


def test_listing_goes_page_by_page(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun_agent.storage.bucket_listing.PAGE", 3)
    keys = [f"a/{number:02d} é+.jpg" for number in range(8)]
    for key in [*keys, "b/other"]:
        s3_store.put(key, b"x")
    assert [info.key for info in s3_store.list("a/")] == keys
    assert [info.key for info in s3_store.list("a/", limit=4)] == keys[:4]


def test_a_folder_is_listed_page_by_page_without_what_is_below_it(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun_agent.storage.bucket_listing.PAGE", 3)
    files = [f"a/{number}.jpg" for number in range(4)]
    below = [f"a/{folder}/{number}.jpg" for folder in "xyz" for number in range(4)]
    for key in [*files, *below, "b/other"]:
        s3_store.put(key, b"x")
    found = s3_store.children("a/")
    assert ([info.key for info in found.files], found.folders) == (files, ["a/x/", "a/y/", "a/z/"])
    assert len(s3_store.children("a/", limit=5).files) == 4
    assert len(s3_store.children("a/", limit=5).folders) == 1


def test_a_page_is_read_while_the_one_before_it_is_worked_through(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainingrun_agent.storage.bucket_listing.PAGE", 1)
    for key in ("a", "b", "c"):
        s3_store.put(key, b"x")
    asked = threading.Semaphore(0)
    s3_store._client.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: asked.release())
    with closing(s3_store.list("")) as listing:
        assert next(listing).key == "a"
        assert asked.acquire(timeout=60)
        assert asked.acquire(timeout=60)
        assert next(listing).key == "b"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("list")]


def test_the_etag_is_the_servers(s3_store: S3Store) -> None:
    s3_store.put("k", b"abc")
    info = s3_store.head("k")
    assert info is not None
    assert info.etag == hashlib.md5(b"abc", usedforsecurity=False).hexdigest()


def test_bytes_are_counted_for_metrics(s3_config: Any) -> None:
    moved = {"down": 0, "up": 0}

    def count(*, down: int = 0, up: int = 0) -> None:
        moved["down"] += down
        moved["up"] += up

    store = open_store(s3_config, s3_config.resolved.storage.bucket, count=count)
    store.put("k", b"12345")
    store.get("k", max_bytes=5)
    store.get_range("k", start=1, length=2)
    assert moved == {"down": 7, "up": 5}


def test_the_environment_does_not_redirect(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch, s3_config: Any) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-env")
    store = open_store(s3_config, s3_store.bucket)
    assert store.put("k", b"x")
