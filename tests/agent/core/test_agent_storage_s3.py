"""The S3 store against a server on the wire."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.errors import IntegrityError, NotFound, ObjectTooLarge
from trainingrun_agent.storage.s3 import PART, S3Store, open_store


def test_listing_goes_page_by_page_in_key_order(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun_agent.storage.s3.PAGE", 3)
    keys = [f"a/{number:02d} é+.jpg" for number in range(8)]
    for key in [*keys, "b/other"]:
        s3_store.put(key, b"x")
    assert [info.key for info in s3_store.list("a/")] == keys
    assert [info.key for info in s3_store.list("a/", limit=4)] == keys[:4]
    assert [info.key for info in s3_store.list("a/", start_after=keys[5])] == keys[6:]
    assert list(s3_store.list("none/")) == []


def test_head_and_delete(s3_store: S3Store) -> None:
    assert s3_store.head("k") is None
    s3_store.put("k", b"abc")
    info = s3_store.head("k")
    assert info is not None
    assert (info.key, info.size, info.etag) == (
        "k",
        3,
        hashlib.md5(b"abc", usedforsecurity=False).hexdigest(),
    )
    assert info.modified.tzinfo is not None
    s3_store.delete("k")
    s3_store.delete("k")
    assert s3_store.head("k") is None


def test_a_conditional_put_is_won_once(s3_store: S3Store) -> None:
    assert s3_store.put("k", b"1", if_absent=True)
    assert not s3_store.put("k", b"2", if_absent=True)
    assert s3_store.get("k", max_bytes=1) == b"1"


def test_reads_are_bounded(s3_store: S3Store) -> None:
    s3_store.put("k", b"0123456789")
    assert s3_store.get("k", max_bytes=10) == b"0123456789"
    with pytest.raises(ObjectTooLarge, match="larger than the 9 bytes"):
        s3_store.get("k", max_bytes=9)
    with pytest.raises(NotFound, match=r"GetObject on s3://.*/nope"):
        s3_store.get("nope", max_bytes=1)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 3, b"012"), (8, 5, b"89"), (10, 1, b""), (50, 1, b"")],
    ids=["inside", "over the end", "at the end", "beyond"],
)
def test_ranges(s3_store: S3Store, start: int, length: int, expected: bytes) -> None:
    s3_store.put("k", b"0123456789")
    assert s3_store.get_range("k", start=start, length=length) == expected


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1], ids=["empty", "tiny", "one part", "multipart"])
def test_upload_and_download_agree(s3_store: S3Store, tmp_path: Path, size: int) -> None:
    data = (b"0123456789abcde" * (size // 15 + 1))[:size]
    sent: list[int] = []
    received: list[int] = []
    digest = s3_store.upload("k", io.BytesIO(data + b"beyond"), size=size, on_bytes=sent.append)
    assert digest == hashlib.sha256(data).hexdigest()
    path = tmp_path / "out"
    assert s3_store.download("k", path, size=size, sha256=digest, on_bytes=received.append) == digest
    assert path.read_bytes() == data
    assert (sum(sent), sum(received)) == (size, size)
    assert [entry.name for entry in tmp_path.iterdir() if "out" in entry.name] == ["out"]


def test_a_file_that_shrinks_is_not_uploaded(s3_store: S3Store) -> None:
    with pytest.raises(IntegrityError, match="ended 3 bytes early"):
        s3_store.upload("k", io.BytesIO(b"x" * PART), size=PART + 3)
    assert s3_store.head("k") is None


@pytest.mark.parametrize(
    ("size", "sha256"),
    [(4, None), (2, None), (3, "0" * 64)],
    ids=["shorter than said", "longer than said", "other bytes"],
)
def test_a_download_that_differs_leaves_nothing(
    s3_store: S3Store, tmp_path: Path, size: int, sha256: str | None
) -> None:
    s3_store.put("k", b"abc")
    counted: list[int] = []
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(IntegrityError, match=f"expected {size} bytes"):
        s3_store.download("k", folder / "f", size=size, sha256=sha256, on_bytes=counted.append)
    assert list(folder.iterdir()) == []
    assert sum(counted) == 0


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
