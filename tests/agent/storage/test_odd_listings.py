"""Listings of servers that do not list as S3 does: refused, in bounded time and memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from endless_s3 import serve
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.storage import bounded_answers, listings, subfolders
from trainingrun_agent.storage.s3 import open_store

pytestmark = pytest.mark.contract
ENTRY = (
    "<Contents><Key>train/{}</Key><Size>{}</Size><ETag>&quot;0a&quot;</ETag>"
    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
)
ENDLESS = "ListingEndless: the listing of s3://detectors/train/ at http://127.0.0.1:.* does not end: "
NOT_S3 = "EndpointNotS3: ListObjectsV2 on s3://detectors/train/ at http://127.0.0.1:.* failed: the answer is not S3 "


def page(*entries: str, token: str | None = None, more: str = "") -> str:
    following = "" if token is None else f"<NextContinuationToken>{token}</NextContinuationToken>"
    truncated = "false" if token is None else "true"
    inner = f"<Name>b</Name><IsTruncated>{truncated}</IsTruncated>{following}{''.join(entries)}{more}"
    return f"<ListBucketResult>{inner}</ListBucketResult>"


ODD: dict[str, tuple[Callable[[int], str], str]] = {
    "the same page again and again": (
        lambda _: page(ENTRY.format("a.jpg", 9), token="next"),
        f"{ENDLESS}a page came twice, and neither StartAfter nor Marker leads to a further key",
    ),
    "pages in a circle": (
        lambda count: page(ENTRY.format(f"{count}.jpg", 9), token=f"{count % 3}"),
        f"{ENDLESS}a page names one as the next that came before, and neither StartAfter nor Marker",
    ),
    "pages without objects": (
        lambda count: page(token=f"{count}"),
        f"{ENDLESS}4 pages in a row have no object",
    ),
    "objects without end": (
        lambda count: page(ENTRY.format(f"{count:09d}.jpg", 9), token=f"{count}"),
        "ListingEndless: s3://detectors/train/ at http://127.0.0.1:.* has more than 20 objects or folders",
    ),
    "more, but no token": (
        lambda _: page(ENTRY.format("a.jpg", 9), token=""),
        f"{ENDLESS}a page does not name the next one, and neither StartAfter nor Marker leads to a further key",
    ),
    "an answer without end": (
        lambda _: page(more=" " * 2000),
        rf"{NOT_S3}\(an answer of more than 1000 bytes\)",
    ),
    "a size that is no number": (lambda _: page(ENTRY.format("a.jpg", "large")), rf"{NOT_S3}\(ValueError\)"),
    "a size of very many digits": (lambda _: page(ENTRY.format("a.jpg", "9" * 5000)), rf"{NOT_S3}\(.*\)"),
    "an object without a name": (
        lambda _: page("<Contents><Size>9</Size></Contents>"),
        rf"{NOT_S3}\(KeyError\)",
    ),
}


@pytest.mark.parametrize(("listing", "message"), ODD.values(), ids=ODD)
def test_a_listing_without_end_is_refused(
    listing: Callable[[int], str],
    message: str,
    make_config: Callable[..., AgentConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listings, "MAX_KEYS", 20)
    monkeypatch.setattr(listings, "MAX_EMPTY_PAGES", 3)
    monkeypatch.setattr(bounded_answers, "MAX_ANSWER_BYTES", 1000 if " " * 2000 in listing(1) else 1 << 20)
    with serve("train/", 0, listing) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        with pytest.raises(StorageRefused, match=message):
            list(store.list("train/"))
    assert bucket.requests["LIST"] < 30


def test_folders_without_end_are_refused(
    make_config: Callable[..., AgentConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subfolders, "MAX_FOLDERS", 9)
    with serve("train/", 0, lambda count: page(ENTRY.format(f"{count:09d}/a.jpg", 9))) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        with pytest.raises(StorageRefused, match=r"ListingEndless: .* has more than 9 objects or folders"):
            list(subfolders.subfolders(store, "train"))


def test_pages_without_objects_are_passed_over(make_config: Callable[..., AgentConfig]) -> None:
    """Servers that look for the next key that was not deleted answer in between."""
    pages = [page(token="a"), page(token="b"), page(ENTRY.format("a.jpg", 9))]
    with serve("train/", 0, lambda count: pages[count - 1]) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        assert [info.key for info in store.list("train/")] == ["train/a.jpg"]


def test_the_first_object_of_a_page_without_a_token_is_found(make_config: Callable[..., AgentConfig]) -> None:
    with serve("train/", 0, lambda _: page(ENTRY.format("a.jpg", 9), token="")) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        assert [info.key for info in store.list("train/", limit=1)] == ["train/a.jpg"]


def test_elements_in_elements_are_passed_over(make_config: Callable[..., AgentConfig]) -> None:
    body = page(ENTRY.format("a.jpg", 9), more="<a>" * 20_000 + "</a>" * 20_000)
    with serve("train/", 0, lambda _: body) as bucket:
        store = open_store(make_config(endpoint=bucket.endpoint), "detectors")
        assert [info.key for info in store.list("train/")] == ["train/a.jpg"]
