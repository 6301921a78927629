"""The listing of a bucket: asks for pages with boto3, one ahead of its reader.

Invariant: an object that a server lists without ETag or date gets what stands for it (ObjectInfo), never another's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.reasons.storage import ACCESS_DENIED, REQUEST_REFUSED
from trainingrun_agent.storage import pages
from trainingrun_agent.storage.answers import refuses_token, status_of
from trainingrun_agent.storage.base import Children, ObjectInfo
from trainingrun_agent.storage.explained import explained
from trainingrun_agent.storage.failures import Target, not_s3
from trainingrun_agent.storage.listings import Page, Request, Walk

PAGE = 1000


class BucketListing:
    """Lists one bucket; thread-safe."""

    def __init__(self, client: Any, target: Target, *, clock: Clock) -> None:
        self._client, self._target, self._clock = client, target, clock
        for event in pages.EVENTS:
            client.meta.events.register(event, pages.parse_entries)

    def objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Generator[ObjectInfo]:
        """See ObjectStore.list."""
        walk = Walk(self._target, prefix, start_after=start_after)
        with ThreadPoolExecutor(1, "list") as ahead:  # reads the next page while this one is processed
            reading: Future[Page] | None = ahead.submit(self._asked, prefix, limit, walk.first)
            while reading is not None:
                page, request = walk.turn(reading.result())
                found = page.objects[:limit]  # of a server that gives more than it was asked for
                limit = None if limit is None else limit - len(found)
                reading = None
                if request is not None and (limit is None or limit > 0):
                    reading = ahead.submit(self._asked, prefix, limit, request)
                yield from found

    def children(self, folder: str, *, limit: int) -> Children:
        """See ObjectStore.children."""
        files: list[ObjectInfo] = []
        folders: dict[str, None] = {}
        walk = Walk(self._target, folder)
        request: Request | None = walk.first
        with denied_is_nothing():
            while request is not None and limit > 0:
                page, request = walk.turn(self._asked(folder, limit, request, Delimiter="/"))
                limit -= len(page.objects) + len(page.folders)
                for item in page.objects:
                    inner, slash, _ = item.key[len(folder) :].partition("/")
                    if slash:  # a server without delimiters
                        folders[f"{folder}{inner}/"] = None
                    elif inner:
                        files.append(item)
                folders.update(dict.fromkeys(page.folders))
        return Children(files, sorted(folders))

    def info(self, key: str, size: int, answer: Mapping[str, Any]) -> ObjectInfo:
        """An object from an entry of a page, or from the answer to HeadObject."""
        modified: datetime | None = answer.get("LastModified")
        etag = answer.get("ETag", "").strip('"')
        if modified is None:
            return ObjectInfo(key, size, etag, self._clock.now())  # so that nothing is deleted for its age
        if modified.tzinfo is None:
            modified = modified.replace(tzinfo=UTC)
        # The key is part of what stands for an ETag, because equal ETags mean equal content.
        return ObjectInfo(key, size, etag or f"{modified:%Y%m%dT%H%M%SZ} {key}", modified)

    def _asked(self, prefix: str, limit: int | None, request: Request, **more: str) -> Page:
        try:
            return self._page(prefix, limit, request, **more)
        except StorageRefused as refusal:
            if refusal.entry is not REQUEST_REFUSED or not request.goes_on_after_key:
                raise
            return Page([], [], truncated=True, token="")  # as of a server that ignores where to go on

    def _page(self, prefix: str, limit: int | None, request: Request, **more: str) -> Page:
        wanted = PAGE if limit is None else min(PAGE, limit)
        call, where = request
        with explained(self._target, call=call, key=prefix):
            ask = self._client.list_objects_v2 if call == "ListObjectsV2" else self._client.list_objects
            try:
                page: dict[str, Any] = ask(Bucket=self._target.bucket, Prefix=prefix, MaxKeys=wanted, **where, **more)
            except ClientError as error:
                if "ContinuationToken" in where and refuses_token(error):
                    return Page([], [], truncated=True, token="")  # as of a server that names no next page
                older = self._of_version_1(error, prefix, limit, request, **more)
                if older is None:
                    raise
                return older
            objects = [self.info(item["Key"], item["Size"], item) for item in page.get("Contents", ())]
            folders = [str(item["Prefix"]) for item in page.get("CommonPrefixes", ())]
        if page.keys().isdisjoint(("IsTruncated", "KeyCount", "Name")):
            raise not_s3(self._target, call=call, key=prefix, what="a page that is not a listing")
        token = page.get("NextContinuationToken" if call == "ListObjectsV2" else "NextMarker", "")
        # Whoever names a next page has one, though it may not say so.
        return Page(objects, folders, bool(page.get("IsTruncated", token)), token)

    def _of_version_1(
        self, error: ClientError, prefix: str, limit: int | None, request: Request, **more: str
    ) -> Page | None:
        """The page from a server that refuses version 2 of the call; None if that was not the cause."""
        if status_of(error) != 501 or request.call != "ListObjectsV2":
            return None
        marker = {"Marker": request.where["StartAfter"]} if "StartAfter" in request.where else {}
        try:
            return self._page(prefix, limit, Request("ListObjects", marker), **more)._replace(token="")
        except StorageRefused as refusal:
            if refusal.entry is not REQUEST_REFUSED:
                raise
            return None


@contextmanager
def denied_is_nothing() -> Iterator[None]:
    """End the block at a call that is not allowed."""
    try:
        yield
    except StorageRefused as refusal:
        if refusal.reason != ACCESS_DENIED.name:
            raise
