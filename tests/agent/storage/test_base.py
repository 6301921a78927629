"""What every ObjectStore does: S3 over HTTP, a local folder, and the store in memory that other tests use."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from memory_store import MemoryStore
from trainingrun_agent.errors import IntegrityError, NotFound, ObjectTooLarge
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.writes import WHOLE

pytestmark = pytest.mark.contract
KEYS = [
    "a b+c.jpg",
    "a-b/x.jpg",
    "a.jpg",
    "a/0.jpg",
    "a/Z/deep/er.jpg",
    "a/b/x.jpg",
    "a/b0.jpg",
    "a0",
    "é/ß.jpg",
    "日本/タイヤ.jpg",
    "\U0001f6de.jpg",
]
"""In the order of S3: `-` and `.` come before the slash, `0` after it, characters above U+FFFF last."""


@pytest.fixture(params=[pytest.param("s3", marks=pytest.mark.s3), "folder", "memory"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty bucket of each kind."""
    if request.param == "s3":
        opened: ObjectStore = request.getfixturevalue("s3_store")
        return opened
    root: Path = request.getfixturevalue("tmp_path") / "bucket"
    root.mkdir()
    return FolderStore(root) if request.param == "folder" else MemoryStore()


@pytest.fixture
def filled(store: ObjectStore) -> ObjectStore:
    """A store with all KEYS."""
    for key in reversed(KEYS):
        store.put(key, key.encode())
    return store


def keys(store: ObjectStore, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> list[str]:
    return [info.key for info in store.list(prefix, start_after=start_after, limit=limit)]


def test_keys_are_listed_in_the_order_of_their_bytes(filled: ObjectStore) -> None:
    assert keys(filled) == KEYS == sorted(KEYS, key=str.encode)


@pytest.mark.parametrize(
    "prefix", ["a", "a/", "a/b", "a/b/", "a/b/x.jpg", "a/Z/deep/", "é/", "none/", "a.jpg/", "/", "a//"]
)
def test_a_prefix_is_the_beginning_of_keys(filled: ObjectStore, prefix: str) -> None:
    assert keys(filled, prefix) == [key for key in KEYS if key.startswith(prefix)]


@pytest.mark.parametrize("after", ["", "a", "a/", "a/0.jpg", "a/Z/", "a/b", "a/b/zzz", "a0", "b", "zzz", "\U0010ffff"])
def test_listing_goes_on_after_a_key_that_may_not_exist(filled: ObjectStore, after: str) -> None:
    assert keys(filled, start_after=after) == [key for key in KEYS if key.encode() > after.encode()]
    assert (
        keys(filled, "a/", start_after=after, limit=2)
        == [key for key in KEYS if key.startswith("a/") and key.encode() > after.encode()][:2]
    )


@pytest.mark.parametrize(
    ("folder", "files", "folders"),
    [
        ("", ["a b+c.jpg", "a.jpg", "a0", "\U0001f6de.jpg"], ["a-b/", "a/", "é/", "日本/"]),
        ("a/", ["a/0.jpg", "a/b0.jpg"], ["a/Z/", "a/b/"]),
        ("a/Z/", [], ["a/Z/deep/"]),
        ("none/", [], []),
        ("a.jpg/", [], []),
    ],
)
def test_a_folder_has_its_files_and_folders_but_not_what_is_below_them(
    filled: ObjectStore, folder: str, files: list[str], folders: list[str]
) -> None:
    found = filled.children(folder)
    assert ([info.key for info in found.files], found.folders) == (files, folders)
    assert [info.size for info in found.files] == [len(key.encode()) for key in files]


def test_what_is_there_is_readable(filled: ObjectStore) -> None:
    assert [key for key in (*KEYS, "a/nope", "a/b") if filled.readable(key)] == KEYS


def test_a_listing_agrees_with_head(filled: ObjectStore) -> None:
    listed = list(filled.list(""))
    assert [info.size for info in listed] == [len(key.encode()) for key in KEYS]
    for info in listed:
        head = filled.head(info.key)
        assert head is not None
        assert (head.key, head.size, head.etag) == (info.key, info.size, info.etag)
        assert abs(head.modified - info.modified) < timedelta(seconds=1)  # S3's headers know no fractions
        assert info.modified.tzinfo is not None


def test_other_content_has_another_etag(store: ObjectStore) -> None:
    etags = set()
    for data in (b"abc", b"abd", b"abcd"):
        store.put("k", data)
        [info] = store.list("")
        etags.add(info.etag)
    assert len(etags) == 3


def test_a_deleted_object_is_gone(filled: ObjectStore) -> None:
    for _ in range(2):
        filled.delete("a/Z/deep/er.jpg")
    assert filled.head("a/Z/deep/er.jpg") is None
    assert keys(filled) == [key for key in KEYS if key != "a/Z/deep/er.jpg"]


@pytest.mark.parametrize("key", ["nope", "a/nope", "a", "a/b", "a.jpg/x", "a//0.jpg", "/a0", "a/./0.jpg", "", "a/"])
def test_no_object_has_such_a_key(filled: ObjectStore, key: str) -> None:
    if key:  # S3 clients refuse an empty key
        assert filled.head(key) is None
        with pytest.raises(NotFound):
            filled.get(key, max_bytes=1)
        with pytest.raises(NotFound):
            filled.get_range(key, start=0, length=1)
    assert key not in keys(filled)


def test_only_the_first_conditional_put_succeeds(store: ObjectStore) -> None:
    assert store.put("epochs/k", b"1", if_absent=True)
    assert not store.put("epochs/k", b"2", if_absent=True)
    assert store.get("epochs/k", max_bytes=1) == b"1"
    assert store.put("epochs/k", b"3")
    assert store.get("epochs/k", max_bytes=1) == b"3"


def test_reads_are_bounded(store: ObjectStore) -> None:
    store.put("k", b"0123456789")
    assert store.get("k", max_bytes=10) == b"0123456789"
    with pytest.raises(ObjectTooLarge, match=r"larger than (the )?9 bytes"):
        store.get("k", max_bytes=9)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 3, b"012"), (8, 5, b"89"), (10, 1, b""), (50, 1, b"")],
    ids=["inside", "over the end", "at the end", "beyond"],
)
def test_ranges(store: ObjectStore, start: int, length: int, expected: bytes) -> None:
    store.put("k", b"0123456789")
    assert store.get_range("k", start=start, length=length) == expected


@pytest.mark.parametrize("size", [0, 1, WHOLE, WHOLE + 1], ids=["empty", "tiny", "one request", "multipart"])
def test_upload_and_download_agree(store: ObjectStore, tmp_path: Path, size: int) -> None:
    data = (b"0123456789abcde" * (size // 15 + 1))[:size]
    sent: list[int] = []
    received: list[int] = []
    file = io.BytesIO(data + b"beyond")
    file.seek(1)
    digest = store.upload("deep/er/k", file, size=size, on_bytes=sent.append)
    assert digest == hashlib.sha256(data).hexdigest()
    path = tmp_path / "out"
    assert store.download("deep/er/k", path, size=size, sha256=digest, on_bytes=received.append) == digest
    assert path.read_bytes() == data
    assert (sum(sent), sum(received)) == (size, size)
    assert [entry.name for entry in tmp_path.iterdir() if "out" in entry.name] == ["out"]
    assert keys(store) == ["deep/er/k"]


@pytest.mark.parametrize("left", [2, WHOLE], ids=["one request", "multipart"])
def test_a_file_that_shrinks_is_not_uploaded(store: ObjectStore, left: int) -> None:
    with pytest.raises(IntegrityError, match="ended 3 bytes early"):
        store.upload("k", io.BytesIO(b"x" * left), size=left + 3)
    assert store.head("k") is None
    assert keys(store) == []


@pytest.mark.parametrize(
    ("size", "sha256"),
    [(4, None), (2, None), (3, "0" * 64)],
    ids=["shorter than expected", "longer than expected", "other bytes"],
)
def test_a_download_that_differs_leaves_nothing(
    store: ObjectStore, tmp_path: Path, size: int, sha256: str | None
) -> None:
    store.put("k", b"abc")
    counted: list[int] = []
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(IntegrityError, match=f"expected {size} bytes"):
        store.download("k", folder / "f", size=size, sha256=sha256, on_bytes=counted.append)
    assert list(folder.iterdir()) == []
    assert sum(counted) == 0


def test_a_download_of_nothing_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.download("k", tmp_path / "f", size=1, sha256=None)
    assert not (tmp_path / "f").exists()


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: store.get("no/such", max_bytes=1),
    "get_range": lambda store: store.get_range("no/such", start=0, length=1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_messages_name_bucket_and_key(store: ObjectStore, call: Callable[[ObjectStore], object]) -> None:
    with pytest.raises(NotFound, match=rf"{store.bucket}/no/such"):
        call(store)
