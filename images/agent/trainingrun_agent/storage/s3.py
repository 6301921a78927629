"""ObjectStore on S3, with boto3, and with obstore (bulk.py) for whole objects.

Invariant: every error of botocore is explained (failures.py) before it leaves this module. Objects are streamed, and a
download appears under its name only if size and digest are right.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import NotFound, ObjectChanged, ObjectTooLarge, StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.storage import CLOCKS_DIFFER
from trainingrun_agent.storage.access import Access
from trainingrun_agent.storage.answers import status_of
from trainingrun_agent.storage.base import MAX_CHILDREN, ByteCounter, Children, ObjectInfo
from trainingrun_agent.storage.bucket_listing import BucketListing, denied_is_nothing
from trainingrun_agent.storage.bulk import BulkError, BulkStore, WholeObject, open_bulk
from trainingrun_agent.storage.client import WORK, Limits, make_client
from trainingrun_agent.storage.downloads import NO_PART, Read, download, part_of, start_of
from trainingrun_agent.storage.encryption import without_encryption
from trainingrun_agent.storage.etags import same_etag
from trainingrun_agent.storage.explained import explained
from trainingrun_agent.storage.failures import Target, not_s3
from trainingrun_agent.storage.server_traits import ServerTraits
from trainingrun_agent.storage.streams import Arrived, Chunk, HashingReader, Part, read_up_to
from trainingrun_agent.storage.versions import ListedVersions
from trainingrun_agent.storage.web_identity import credentials_of
from trainingrun_agent.storage.writes import WHOLE, Writes

READ = 1 << 16
"""What is lost of a chunk when the connection breaks."""
MAX_SKEW_SECONDS = 900
"""S3 refuses signatures that are older or newer."""
MUCH_SKEW_SECONDS = 300
READS = 2


def open_store(
    config: AgentConfig,
    bucket: str,
    *,
    clock: Clock | None = None,
    count: ByteCounter | None = None,
    limits: Limits = WORK,
    credentials: Credentials | None = None,
    traits: ServerTraits | None = None,
) -> S3Store:
    """The store of a bucket at the run's endpoint. Raises StorageRefused when the client cannot be made.

    `credentials` are those of the pod, which all its stores share; None: they are made here. Stores of the same bucket
    share `traits`.
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
    storage = resolved.storage
    target = Target(bucket, storage.endpoint, field, Access.of(config), addressing=storage.addressing)
    clock = clock or Clock()
    credentials = credentials or credentials_of(config, clock=clock)
    client = make_client(config, credentials, limits=limits)
    bulk = None
    if limits is WORK:  # the preflight needs an explained answer at once
        bulk = open_bulk(config, bucket, credentials, endpoint=client.meta.endpoint_url, limits=limits, clock=clock)
    plain = partial(make_client, without_encryption(config), credentials, limits=limits) if storage.encryption else None
    return S3Store(client, target, clock=clock, count=count, bulk=bulk, traits=traits, plain=plain)


class S3Store:
    """One bucket on S3; thread-safe. `plain` makes a client that asks for no encryption, if `client` does."""

    def __init__(
        self,
        client: Any,
        target: Target,
        *,
        clock: Clock,
        count: ByteCounter | None = None,
        bulk: BulkStore | None = None,
        traits: ServerTraits | None = None,
        plain: Callable[[], Any] | None = None,
    ) -> None:
        self._client = client
        self._bulk = bulk
        self._target = target
        self._clock = clock
        self._count = count or _ignore
        self._clock_checked = False
        self.traits = traits or ServerTraits()
        self._listing = BucketListing(client, target, clock=clock)
        self._versions = ListedVersions(self.list)
        self._writes = Writes(client, target, self.traits, lambda key: self.head(key) is not None, plain)
        client.meta.events.register("after-call.s3", self._check_clock)

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._target.bucket

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Generator[ObjectInfo]:
        """See ObjectStore; reads page by page."""
        return self._listing.objects(prefix, start_after=start_after, limit=limit)

    def children(self, folder: str, *, limit: int = MAX_CHILDREN) -> Children:
        """See ObjectStore."""
        return self._listing.children(folder, limit=limit)

    def wider(self) -> None:
        """See ObjectStore."""

    def readable(self, key: str) -> bool:
        """See ObjectStore."""
        with denied_is_nothing():
            return self.head(key) is not None
        return False

    def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        try:
            with self._explained("HeadObject", key):
                answer = self._client.head_object(Bucket=self.bucket, Key=key)
        except NotFound:
            return None
        if "ContentLength" in answer and "LastModified" in answer:
            return self._listing.info(key, answer["ContentLength"], answer)
        # A proxy may have removed these headers.
        for info in self.list(key, limit=1):
            if info.key == key:
                return info
        raise not_s3(self._target, call="HeadObject", key=key, what="an object without size or date")

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """See ObjectStore."""
        data, found, modified = self._get(key, max_bytes=max_bytes)
        same = not etag or same_etag(found, etag)
        if not same and not self._versions.unchanged(key, etag=etag, size=len(data), modified=modified):
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
                if status_of(error) == 416:  # the object ends before, or is empty
                    return b""
                raise
            with closing(answer["Body"]) as body:
                # A server that ignores Range sends everything; one that does not say what it sends is believed.
                begin = start_of(answer)
                if begin > start:
                    raise not_s3(self._target, call="GetObject", key=key, what="a part that was not asked for")
                data = _read_after(body, start - begin if begin >= 0 else 0, length)
        self._count(down=len(data))
        return data

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """See ObjectStore."""
        if not if_absent:
            self._writes.put(key, data)
        elif not self._writes.put_if_absent(key, data):
            return False
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
        arrived: Arrived | None = None,
    ) -> str:
        """See ObjectStore."""
        where = self._target.where(key)
        with nullcontext(arrived) if arrived else Arrived(path, on_bytes or _ignore_bytes) as kept:
            return download(self._readings(key, size), kept, size=size, sha256=sha256, where=where)

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """See ObjectStore."""
        file.seek(0)
        reader = HashingReader(file, size, name=key)
        count = on_bytes or (lambda _: None)
        if size <= WHOLE:
            self._put(key, b"".join(iter(reader.read, b"")))
            count(size)
            return reader.hexdigest()
        digest = self._writes.upload(key, file, size=size, on_bytes=count)
        self._count(up=size)
        return digest

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self._writes.delete(key)

    def _get(self, key: str, *, max_bytes: int) -> WholeObject:
        if self._bulk is not None:
            with suppress(BulkError):
                return self._bulk.get(key, max_bytes=max_bytes)
        with self._explained("GetObject", key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            with closing(answer["Body"]) as body:
                data = read_up_to(body, max_bytes + 1)
        return WholeObject(data, answer.get("ETag", ""), answer.get("LastModified"))

    def _put(self, key: str, data: bytes) -> None:
        if self._bulk is not None and not self.traits.wants_md5:
            with suppress(BulkError):
                self._bulk.put(key, data)
                self._count(up=len(data))
                return
        self.put(key, data)

    def _readings(self, key: str, size: int) -> Iterator[Read]:
        """Ways to read an object of this size, to try one after the other."""
        if self._bulk is not None:
            bulk = self._bulk
            yield lambda start, etag: self._counted(bulk.part(key, start=start, etag=etag))
        for _ in range(READS):
            yield lambda start, etag: self._counted(self._part(key, size, start=start, etag=etag))

    @contextmanager
    def _part(self, key: str, size: int, *, start: int, etag: str) -> Iterator[Part]:
        ranged = start > 0
        with self._explained("GetObject", key):
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key, **part_of(start, etag))
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if not start or status not in NO_PART:
                    raise
                if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start == size:
                    yield Part(start, etag, ())  # the connection broke after the last byte
                    return
                ranged = False
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
            with closing(answer["Body"]) as body:
                chunks = iter(lambda: body.read(READ), b"")
                # Of an answer to a request for all, size and digest show whether it is all.
                yield Part(start_of(answer) if ranged else 0, answer.get("ETag", ""), chunks)

    @contextmanager
    def _counted(self, opened: AbstractContextManager[Part]) -> Iterator[Part]:
        """The part, whose bytes are counted for metrics."""
        with opened as part:
            yield part._replace(chunks=map(self._count_chunk, part.chunks))

    def _count_chunk(self, chunk: Chunk) -> Chunk:
        self._count(down=len(chunk))
        return chunk

    def _explained(self, call: str, key: str) -> AbstractContextManager[None]:
        return explained(self._target, call=call, key=key)

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
        direction = "ahead of" if skew > 0 else "behind"
        endpoint = self._target.endpoint or "AWS"
        if MUCH_SKEW_SECONDS < abs(skew) <= MAX_SKEW_SECONDS:
            text = "the clock is %.0f s %s the clock of %s; from %d s on, storage refuses requests"
            logger.warning(text, abs(skew), direction, endpoint, MAX_SKEW_SECONDS)
        if abs(skew) > MAX_SKEW_SECONDS:
            raise StorageRefused(CLOCKS_DIFFER, seconds=abs(skew), direction=direction, endpoint=endpoint)


def _read_after(body: Any, skip: int, length: int) -> bytes:
    """Bytes after the first `skip` ones, which are not kept: they may be more than memory holds."""
    while skip and (skipped := body.read(min(skip, READ))):
        skip -= len(skipped)
    return read_up_to(body, length)


def _ignore(*, down: int = 0, up: int = 0) -> None:
    """Count nothing."""


def _ignore_bytes(count: int) -> None:
    """Count nothing."""
