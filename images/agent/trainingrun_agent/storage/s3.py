"""ObjectStore on S3, with boto3, and with obstore (bulk.py) for whole objects.

Invariant: every error of botocore is explained (failures.py) before it leaves this module. Objects are streamed, and a
download appears under its name only if size and digest are right.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from boto3.s3.transfer import TransferConfig
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import IntegrityError, NotFound, ObjectChanged, ObjectTooLarge, StorageRefused
from trainingrun_agent.reasons.storage import ACCESS_DENIED, CLOCKS_DIFFER, LISTING_ENDLESS, TOO_MANY_OBJECTS
from trainingrun_agent.storage import pages
from trainingrun_agent.storage.access import Access
from trainingrun_agent.storage.base import MAX_CHILDREN, ByteCounter, Children, ObjectInfo
from trainingrun_agent.storage.bulk import BulkError, BulkStore, open_bulk
from trainingrun_agent.storage.client import WORK, Limits, make_client
from trainingrun_agent.storage.failures import Target, endless, explain, not_s3
from trainingrun_agent.storage.streams import Chunk, HashingReader, save
from trainingrun_agent.storage.web_identity import credentials_of

CHUNK = 1 << 20
WHOLE = 16 << 20
"""Objects up to this size are sent in one request, which costs half as much as parts; most shards are smaller."""
PART = 8 << 20
PAGE = 1000
MAX_KEYS, MAX_EMPTY_PAGES = 10_000_000, 1000
"""Of one listing; some servers give pages without keys while they pass over deleted ones."""
UPLOAD_THREADS = 4
MAX_SKEW_SECONDS = 300
READS = 2

Chunks = Callable[[str], Iterator[Chunk]]
"""Reads an object by its key, in chunks."""


def open_store(
    config: AgentConfig,
    bucket: str,
    *,
    clock: Clock | None = None,
    count: ByteCounter | None = None,
    limits: Limits = WORK,
    credentials: Credentials | None = None,
) -> S3Store:
    """The store of a bucket at the run's endpoint. Raises StorageRefused when the client cannot be made.

    `credentials` are those of the pod, which all its stores share; None: they are made here.
    """
    resolved = config.resolved
    pretrained = resolved.model.pretrained
    fields = [
        name
        for name, where in (
            ("storage.bucket", resolved.storage.bucket),
            *((field, source.bucket) for field, source in resolved.dataset.sources),
            ("model.pretrained.uri", pretrained and pretrained.uri and pretrained.uri.bucket),
        )
        if where == bucket
    ]
    field = fields[0] if fields else "storage.bucket"
    target = Target(bucket, resolved.storage.endpoint, field, Access.of(config))
    clock = clock or Clock()
    credentials = credentials or credentials_of(config, clock=clock)
    client = make_client(config, credentials, limits=limits)
    bulk = None
    if limits is WORK:  # the preflight needs an explained answer at once
        bulk = open_bulk(config, bucket, credentials, endpoint=client.meta.endpoint_url, limits=limits, clock=clock)
    return S3Store(client, target, clock=clock, count=count, bulk=bulk)


class S3Store:
    """One bucket on S3; thread-safe."""

    def __init__(
        self,
        client: Any,
        target: Target,
        *,
        clock: Clock,
        count: ByteCounter | None = None,
        bulk: BulkStore | None = None,
    ) -> None:
        self._client = client
        self._bulk = bulk
        self._target = target
        self._clock = clock
        self._count = count or _ignore
        self._clock_checked = False
        client.meta.events.register("after-call.s3", self._check_clock)
        client.meta.events.register(pages.EVENT, pages.parse_entries)

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._target.bucket

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Generator[ObjectInfo]:
        """See ObjectStore; reads page by page."""
        where = {"StartAfter": start_after} if start_after else {}
        progress = _ListingProgress(self._target, prefix)
        with ThreadPoolExecutor(1, "list") as ahead:  # reads the next page while this one is processed
            next_page: Future[_Page] | None = ahead.submit(self._page, prefix, limit, where)
            while next_page is not None:
                page = next_page.result()
                # Not every server supports StartAfter.
                items = [item for item in page.objects if item.key > start_after]
                limit = None if limit is None else limit - len(items)
                next_page = None
                if page.truncated and (limit is None or limit > 0):
                    where = {"ContinuationToken": progress.token_after(page)}
                    next_page = ahead.submit(self._page, prefix, limit, where)
                yield from items

    def children(self, folder: str, *, limit: int = MAX_CHILDREN) -> Children:
        """See ObjectStore."""
        files: list[ObjectInfo] = []
        folders: dict[str, None] = {}
        progress = _ListingProgress(self._target, folder)
        where = {"Delimiter": "/"}
        with _denied_is_nothing():
            while limit > 0:
                page = self._page(folder, limit, where)
                limit -= len(page.objects) + len(page.folders)
                for item in page.objects:
                    inner, slash, _ = item.key[len(folder) :].partition("/")
                    if slash:  # a server without delimiters
                        folders[f"{folder}{inner}/"] = None
                    elif inner:
                        files.append(item)
                folders.update(dict.fromkeys(page.folders))
                if not page.truncated:
                    break
                where = {"Delimiter": "/", "ContinuationToken": progress.token_after(page)}
        return Children(files, sorted(folders))

    def wider(self) -> None:
        """See ObjectStore."""

    def readable(self, key: str) -> bool:
        """See ObjectStore."""
        with _denied_is_nothing():
            return self.head(key) is not None
        return False

    def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        try:
            with self._explained("HeadObject", key):
                answer = self._client.head_object(Bucket=self.bucket, Key=key)
                return _info(key, answer["ContentLength"], answer)
        except NotFound:
            return None

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """See ObjectStore."""
        data, found = self._get(key, max_bytes=max_bytes)
        if etag and found.strip('"') not in ("", etag):
            raise ObjectChanged(where=self._target.where(key), found=found, listed=etag)
        if len(data) > max_bytes:
            raise ObjectTooLarge(where=self._target.where(key), limit=max_bytes)
        self._count(down=len(data))
        return data

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        wanted = f"bytes={start}-{start + length - 1}"
        with self._explained("GetObject", key):
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key, Range=wanted)
            except ClientError as error:
                if error.response["Error"]["Code"] == "InvalidRange":
                    return b""
                raise
            with closing(answer["Body"]) as body:
                # A server that ignores Range sends everything: read no more than was asked for.
                skip = start if answer["ResponseMetadata"]["HTTPStatusCode"] == 200 else 0
                data: bytes = body.read(skip + length)[skip:]
        self._count(down=len(data))
        return data

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """See ObjectStore."""
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        with self._explained("PutObject", key):
            try:
                self._client.put_object(Bucket=self.bucket, Key=key, Body=data, **condition)
            except ClientError as error:
                if if_absent and error.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                    return False
                raise
        self._count(up=len(data))
        return True

    def download(
        self,
        key: str,
        path: Path,
        *,
        size: int,
        sha256: str | None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> str:
        """See ObjectStore."""
        partial = path.with_name(f"{path.name}.partial")
        count = on_bytes or (lambda _: None)
        seen = ""
        for chunks in self._readings():
            try:
                received, digest = self._fetch(chunks, key, partial, limit=size, on_bytes=count)
            except BulkError:
                continue
            if received == size and sha256 in (None, digest):
                partial.replace(path)
                return digest
            count(-received)
            seen = f"{received} bytes with SHA-256 {digest}"
        partial.unlink()
        expected = f"{size} bytes{f' with SHA-256 {sha256}' if sha256 else ''}"
        raise IntegrityError(where=self._target.where(key), found=seen, expected=expected)

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """See ObjectStore."""
        file.seek(0)
        reader = HashingReader(file, size, name=key)
        count = on_bytes or (lambda _: None)
        if size <= WHOLE:
            self._put(key, b"".join(iter(reader.read, b"")))
            count(size)
            return reader.hexdigest()
        with self._explained("UploadPart", key):
            self._client.upload_fileobj(reader, self.bucket, key, Callback=count, Config=_transfer())
        self._count(up=size)
        return reader.hexdigest()

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with self._explained("DeleteObject", key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def _page(self, prefix: str, limit: int | None, where: dict[str, str]) -> _Page:
        wanted = PAGE if limit is None else min(PAGE, limit)
        with self._explained("ListObjectsV2", prefix):
            page: dict[str, Any] = self._client.list_objects_v2(
                Bucket=self.bucket, Prefix=prefix, MaxKeys=wanted, **where
            )
            objects = [_info(item["Key"], item["Size"], item) for item in page.get("Contents", ())]
            folders = [str(item["Prefix"]) for item in page.get("CommonPrefixes", ())]
        if page.keys().isdisjoint(("IsTruncated", "KeyCount", "Name")):
            raise not_s3(self._target, call="ListObjectsV2", key=prefix, what="a page that is not a listing")
        return _Page(objects, folders, bool(page.get("IsTruncated")), page.get("NextContinuationToken", ""))

    def _get(self, key: str, *, max_bytes: int) -> tuple[bytes, str]:
        """The object and its ETag."""
        if self._bulk is not None:
            with suppress(BulkError):
                return self._bulk.get(key, max_bytes=max_bytes)
        with self._explained("GetObject", key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            with closing(answer["Body"]) as body:
                data: bytes = body.read(max_bytes + 1)
        return data, answer.get("ETag", "")

    def _put(self, key: str, data: bytes) -> None:
        if self._bulk is not None:
            with suppress(BulkError):
                self._bulk.put(key, data)
                self._count(up=len(data))
                return
        self.put(key, data)

    def _readings(self) -> Iterator[Chunks]:
        """Ways to read an object, to try one after the other."""
        if self._bulk is not None:
            yield self._bulk.chunks
        for _ in range(READS):
            yield self._chunks

    def _chunks(self, key: str) -> Iterator[Chunk]:
        with self._explained("GetObject", key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            with closing(answer["Body"]) as body:
                while chunk := body.read(CHUNK):
                    yield chunk

    def _fetch(
        self, chunks: Chunks, key: str, partial: Path, *, limit: int, on_bytes: Callable[[int], None]
    ) -> tuple[int, str]:
        def counted(count: int) -> None:
            on_bytes(count)
            self._count(down=max(0, count))

        return save(chunks(key), partial, limit=limit, on_bytes=counted, what=self._target.where(key))

    @contextmanager
    def _explained(self, call: str, key: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError, ValueError, KeyError, RecursionError) as error:
            # The last three are of values in an answer, such as a size that is no number.
            raise explain(error, self._target, call=call, key=key) from error

    def _check_clock(self, http_response: Any, **_: Any) -> None:
        """Compare clocks at the first answer, whatever its status: a skewed clock looks like a wrong signature."""
        date = http_response.headers.get("date")
        if self._clock_checked or date is None or http_response.status_code >= 500:
            return
        self._clock_checked = True
        try:
            server = parsedate_to_datetime(date)
        except ValueError:
            return
        skew = (self._clock.now() - server.replace(tzinfo=server.tzinfo or UTC)).total_seconds()
        if abs(skew) > MAX_SKEW_SECONDS:
            direction = "ahead of" if skew > 0 else "behind"
            endpoint = self._target.endpoint or "AWS"
            raise StorageRefused(CLOCKS_DIFFER, seconds=abs(skew), direction=direction, endpoint=endpoint)


class _Page(NamedTuple):
    """A page of a listing; `token` names the next one, if it is `truncated`."""

    objects: list[ObjectInfo]
    folders: list[str]
    truncated: bool
    token: str


class _ListingProgress:
    """Notices a listing that does not end, whatever the server."""

    def __init__(self, target: Target, prefix: str) -> None:
        self._target, self._prefix = target, prefix
        self._tokens: set[int] = set()  # hashes: a token is as long as the server likes
        self._keys = self._empty = 0

    def token_after(self, page: _Page) -> str:
        """The token of the page after this one. Raises StorageRefused."""
        self._keys += len(page.objects)
        self._empty = 0 if page.objects or page.folders else self._empty + 1
        if self._keys > MAX_KEYS:
            raise endless(self._target, key=self._prefix, entry=TOO_MANY_OBJECTS, limit=MAX_KEYS)
        problem = ""
        if not page.token:
            problem = "a page does not name the next one"
        elif hash(page.token) in self._tokens:
            problem = "a page names one as the next that came before"
        elif self._empty > MAX_EMPTY_PAGES:
            problem = f"{self._empty} pages in a row have no object"
        if problem:
            raise endless(self._target, key=self._prefix, entry=LISTING_ENDLESS, problem=problem)
        self._tokens.add(hash(page.token))
        return page.token


def _info(key: str, size: int, answer: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(key, size, answer.get("ETag", "").strip('"'), answer["LastModified"])


@contextmanager
def _denied_is_nothing() -> Iterator[None]:
    try:
        yield
    except StorageRefused as refusal:
        if refusal.reason != ACCESS_DENIED.name:
            raise


def _ignore(*, down: int = 0, up: int = 0) -> None:
    """Count nothing."""


def _transfer() -> TransferConfig:
    # `classic`, because the CRT client ignores endpoint and addressing. The other settings bound memory to a few parts.
    config = TransferConfig(
        multipart_threshold=WHOLE,
        multipart_chunksize=PART,
        max_concurrency=UPLOAD_THREADS,
        preferred_transfer_client="classic",
    )
    config.max_in_memory_upload_chunks = UPLOAD_THREADS
    return config
