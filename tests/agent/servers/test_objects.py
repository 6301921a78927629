"""Objects of any key and size: written, read in whole and in part, overwritten, deleted."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from trainingrun_agent.errors import ObjectChanged
from trainingrun_agent.storage.s3 import S3Store
from trainingrun_agent.storage.writes import PART, WHOLE

pytestmark = pytest.mark.s3
KEYS = {
    "a blank": "photos/a b.jpg",
    "blanks at the ends": "photos/ a ",
    "a plus": "photos/a+b.jpg",
    "percent": "photos/100%2F%20%.jpg",
    "characters of a URL": "photos/a?b=c&d#e;f:g@h,i!$'()*~^|.jpg",
    "XML markup": "photos/<a>&amp;\"'.jpg",
    "brackets": "photos/[a]{b}`c`.jpg",
    "backslash": "photos/a\\b.jpg",
    "Unicode": "größe/輪胎 🛞.jpg",
    "Unicode in two parts": "photos/gro\u0308\u00dfe.jpg",
    "upper and lower case": "photos/A.JPG",
    "a name of 255 bytes": f"photos/{'x' * 255}",
    "a name of 900 bytes": f"photos/{'x' * 900}",
    "1,000 bytes in folders": f"{'a/' * 499}ab",
    "a name that begins with a dot": "photos/.hidden",
    "a dot as folder": "photos/./a.jpg",
    "two slashes": "photos//a.jpg",
    "a slash in front": "/photos/a.jpg",
    "a slash at the end": "photos/folder/",
    "line ends": "photos/a\r\nb.jpg",
    "a tab": "photos/a\tb.jpg",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_written_listed_read_and_deleted(s3_store: S3Store, key: str) -> None:
    beside = "photos/a.jpg"
    s3_store.put(beside, b"beside")
    assert s3_store.put(key, b"0123")
    listed = {info.key: info for info in s3_store.list("")}
    assert set(listed) == {key, beside}
    assert s3_store.head(key) is not None
    assert s3_store.get(key, max_bytes=9, etag=listed[key].etag) == b"0123"
    assert s3_store.get_range(key, start=1, length=2) == b"12"
    s3_store.upload(key, io.BytesIO(b"other"), size=5)
    assert s3_store.get(key, max_bytes=9) == b"other"
    s3_store.delete(key)
    assert [info.key for info in s3_store.list("")] == [beside]
    assert s3_store.get(beside, max_bytes=9) == b"beside"


def test_a_file_and_a_folder_may_have_one_name(s3_store: S3Store) -> None:
    s3_store.put("photos/a", b"1")
    s3_store.put("photos/a/b", b"2")
    assert [info.key for info in s3_store.list("")] == ["photos/a", "photos/a/b"]
    s3_store.delete("photos/a")
    assert s3_store.get("photos/a/b", max_bytes=1) == b"2"


def test_a_folder_whose_last_object_is_deleted_is_gone(s3_store: S3Store) -> None:
    s3_store.put("photos/a/b", b"2")
    s3_store.delete("photos/a/b")
    found = s3_store.children("")
    assert (found.files, found.folders) == ([], [])


def test_whole_objects_move_with_obstore(s3_store: S3Store) -> None:
    """The faster client; where it fails, boto3 does the work, which nobody would notice."""
    bulk = s3_store._bulk
    assert bulk is not None
    bulk.put("photos/ä b+%.jpg", b"0123")
    found = bulk.get("photos/ä b+%.jpg", max_bytes=4)
    assert found.data == b"0123"
    with bulk.part("photos/ä b+%.jpg", start=1, etag=found.etag) as part:  # as a download that goes on
        assert b"".join(part.chunks) == b"123"
    bulk.put("empty", b"")
    assert bulk.get("empty", max_bytes=4).data == b""


def test_a_large_object_is_sent_in_parts_and_its_etag_is_the_same_everywhere(s3_store: S3Store, tmp_path: Path) -> None:
    size = WHOLE + PART + 12_345
    data = hashlib.shake_128(b"model").digest(size)
    digest = s3_store.upload("model.ckpt", io.BytesIO(data), size=size)
    assert digest == hashlib.sha256(data).hexdigest()
    [listed] = s3_store.list("")
    head = s3_store.head("model.ckpt")
    assert head is not None
    assert (listed.size, listed.etag) == (size, head.etag)
    assert s3_store.get("model.ckpt", max_bytes=size, etag=listed.etag) == data
    assert s3_store.get_range("model.ckpt", start=PART - 10, length=20) == data[PART - 10 : PART + 10]
    assert s3_store.get_range("model.ckpt", start=size - 10, length=20) == data[-10:]
    s3_store.download("model.ckpt", tmp_path / "model.ckpt", size=size, sha256=digest)
    s3_store.delete("model.ckpt")
    assert list(s3_store.list("")) == []


def test_an_object_that_has_changed_since_the_listing_is_noticed(s3_store: S3Store) -> None:
    s3_store.put("a.jpg", b"1")
    [listed] = s3_store.list("")
    assert s3_store.get("a.jpg", max_bytes=1, etag=listed.etag) == b"1"
    s3_store.put("a.jpg", b"2")
    with pytest.raises(ObjectChanged):
        s3_store.get("a.jpg", max_bytes=1, etag=listed.etag)


def test_what_was_overwritten_is_read_and_listed_at_once(s3_store: S3Store) -> None:
    for number in range(20):
        body = b"x" * (number + 1)
        s3_store.put("photos/a", body)
        assert s3_store.get("photos/a", max_bytes=100) == body
        assert [info.size for info in s3_store.list("photos/")] == [len(body)]
