"""Listings of more keys than a page has, and of keys that XML cannot carry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.s3
COUNT = 1100  # a page has at most 1,000
LARGE = [f"photos/{number // 100:02d}/{number:04d} é.jpg" for number in range(COUNT)]


@pytest.fixture
def large(s3_store: S3Store) -> S3Store:
    """A bucket of more than a page."""
    s3_store.put("other", b"x")
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda key: s3_store._put(key, b"x"), LARGE):
            pass
    return s3_store


def test_a_listing_has_more_keys_than_a_page(large: S3Store) -> None:
    assert [info.key for info in large.list("photos/")] == LARGE
    after = LARGE[50]
    assert [info.key for info in large.list("photos/", start_after=after)] == LARGE[51:]
    assert [info.key for info in large.list("photos/", start_after=after, limit=3)] == LARGE[51:54]
    assert large.children("photos/").folders == [f"photos/{number:02d}/" for number in range(11)]


@pytest.mark.parametrize("odd", ["\x01", "\x7f", "\ufffe", "\x1b[31m"], ids=["0x01", "DEL", "U+FFFE", "escape"])
def test_a_key_that_xml_cannot_carry_hides_no_other(s3_store: S3Store, odd: str) -> None:
    for key in ("k/a", "k/c"):
        s3_store.put(key, b"x")
    with suppress(StorageRefused):  # a server may refuse such a key
        s3_store.put(f"k/b{odd}", b"x")
    keys = [info.key for info in s3_store.list("k/")]
    assert [key for key in keys if key in ("k/a", "k/c")] == ["k/a", "k/c"]
    assert len(keys) <= 3
