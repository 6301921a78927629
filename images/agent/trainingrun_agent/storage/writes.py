"""Writes and deletions with boto3, also on servers that refuse conditions, demand checksums, or keep what is deleted.

Invariant: what a server refuses is tried in another way only where the answer leaves open that this is the cause, and
is noted (ServerTraits) only if the other way works. A key that exists is never overwritten by a conditional write.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from trainingrun_agent.errors import ObjectLocked
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.storage import ENDPOINT_NOT_S3, REQUEST_REFUSED
from trainingrun_agent.storage.access import DIRECT
from trainingrun_agent.storage.answers import asks_for_checksum, is_missing, names_lock, shows_lock, status_of
from trainingrun_agent.storage.explained import explained
from trainingrun_agent.storage.failures import Target, encryption_not_offered, explain
from trainingrun_agent.storage.server_traits import MD5_EVENTS, ServerTraits
from trainingrun_agent.storage.streams import HashingReader

WHOLE = 16 << 20
"""Objects up to this size are sent in one request, which costs half as much as parts; most shards are smaller."""
PART = 8 << 20
UPLOAD_THREADS = 4
UNENCRYPTED = ".unencrypted"
"""Behind a key, the key of an empty object that is written, and deleted, to see whether the server can encrypt."""
_FAILURES = (BotoCoreError, ClientError, ResponseParserError)
REFUSALS = 2
"""How often in a row a server refuses a condition before it is done without: a proxy may refuse anything for once."""


class Writes:
    """Writes to one bucket; thread-safe. `exists` tells whether there is an object.

    `plain`, if the client asks for encryption, makes one that does not.
    """

    def __init__(
        self,
        client: Any,
        target: Target,
        traits: ServerTraits,
        exists: Callable[[str], bool],
        plain: Callable[[], Any] | None = None,
    ) -> None:
        self._client, self._target, self._traits, self._exists = client, target, traits, exists
        self._plain = plain
        self._direct = replace(target, access=DIRECT)
        self._add_checksums(client)

    def put(self, key: str, data: bytes) -> None:
        """Write an object in one request."""
        with explained(self._target, call="PutObject", key=key):
            self._put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless its key exists, at one stroke where the server can; whether it was written."""
        if self._traits.conditional_writes and (written := self._put_on_condition(key, data)) is not None:
            return written
        written = self._look_and_put(key, data)
        if written and self._traits.conditional_writes:
            logger.info("bucket %s refuses If-None-Match: looking before writing", self._target.bucket)
            self._traits.conditional_writes = False
        return written

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None]) -> str:
        """Write an object in parts; returns its SHA-256 in hex."""
        with explained(self._target, call="UploadPart", key=key):
            try:
                return self._upload(key, file, size, on_bytes)
            except ClientError as error:
                if not self._now_with_md5(error):
                    raise
                return self._upload(key, file, size, on_bytes)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with explained(self._target, call="DeleteObject", key=key):
            try:
                self._client.delete_object(Bucket=self._target.bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return
                if self._is_locked(key, error):
                    raise ObjectLocked(where=self._target.where(key)) from error
                raise

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        try:
            self._put_object(key, data, **condition)
        except ClientError as error:
            if self._cannot_encrypt(key, error):
                raise encryption_not_offered(error, self._target, call="PutObject", key=key) from error
            raise
        self._traits.encrypts = True

    def _put_object(self, key: str, data: bytes, **condition: str) -> None:
        try:
            self._client.put_object(Bucket=self._target.bucket, Key=key, Body=data, **condition)
        except ClientError as error:
            if not self._now_with_md5(error):
                raise
            self._client.put_object(Bucket=self._target.bucket, Key=key, Body=data, **condition)

    def _cannot_encrypt(self, key: str, error: ClientError) -> bool:
        """Whether an error of the server is about encryption: an empty object can be written without it only."""
        if self._plain is None or self._traits.encrypts or status_of(error) != HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        plain, empty = self._plain(), {"Bucket": self._target.bucket, "Key": f"{key}{UNENCRYPTED}"}
        self._add_checksums(plain)
        try:
            plain.put_object(**empty, Body=b"")
        except _FAILURES:
            return False
        try:
            self._client.put_object(**empty, Body=b"")
        except _FAILURES as again:
            return isinstance(again, ClientError) and status_of(again) == HTTPStatus.INTERNAL_SERVER_ERROR
        finally:
            with suppress(*_FAILURES):
                plain.delete_object(**empty)
        return False

    def _add_checksums(self, client: Any) -> None:
        for event in MD5_EVENTS:
            client.meta.events.register(event, self._traits.add_md5)

    def _put_on_condition(self, key: str, data: bytes) -> bool | None:
        """Whether it was written; None if the condition itself is refused, and not by one odd answer alone."""
        with explained(self._target, call="PutObject", key=key):
            for _ in range(REFUSALS):
                try:
                    self._put(key, data, IfNoneMatch="*")
                except ClientError as error:
                    if status_of(error) in (304, 412):
                        return False
                    if not self._may_refuse_condition(error):
                        raise
                else:
                    return True
        return None

    def _look_and_put(self, key: str, data: bytes) -> bool:
        if self._exists(key):
            return False
        self.put(key, data)
        return True

    def _may_refuse_condition(self, error: ClientError) -> bool:
        """Whether If-None-Match may be what the server refuses: the answer has no other meaning."""
        entry = explain(error, self._direct, call="PutObject", key="").entry
        return status_of(error) == 501 or (
            status_of(error) in (400, 405) and entry in (REQUEST_REFUSED, ENDPOINT_NOT_S3)
        )

    def _now_with_md5(self, error: ClientError) -> bool:
        """Whether the server refuses a write without checksum; from now on, each has one."""
        asked = asks_for_checksum(error)
        if asked and not self._traits.wants_md5:
            logger.info("bucket %s demands checksums: adding Content-MD5", self._target.bucket)
            self._traits.wants_md5 = True
        return asked

    def _upload(self, key: str, file: BinaryIO, size: int, on_bytes: Callable[[int], None]) -> str:
        file.seek(0)
        reader = HashingReader(file, size, name=key)
        sent: list[int] = []  # filled by several threads

        def count(more: int) -> None:
            sent.append(more)
            on_bytes(more)

        try:
            self._client.upload_fileobj(reader, self._target.bucket, key, Callback=count, Config=_transfer())
        except ClientError as error:
            if asks_for_checksum(error):
                on_bytes(-sum(sent))
            raise
        return reader.hexdigest()

    def _is_locked(self, key: str, error: ClientError) -> bool:
        if names_lock(error):
            return True
        if status_of(error) not in (400, 403, 405, 409):
            return False
        with suppress(*_FAILURES):
            return shows_lock(self._client.head_object(Bucket=self._target.bucket, Key=key))
        return False


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
