"""Reads and writes of whole objects with obstore, which needs a tenth of boto3's time for a request and copies less.

Invariant: a call succeeds or raises BulkError without a cause. The caller repeats it with boto3, which retries
transient errors and explains permanent ones. So no error of obstore is interpreted, and retries stay in one place
(retry.py).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.credentials import Credentials
from botocore.httpsession import get_cert_path
from obstore.exceptions import BaseError
from obstore.store import S3Store

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.encryption import encryption_options
from trainingrun_agent.storage.streams import Part

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Credential

CREDENTIALS_SECONDS = 60
"""After this time a rotated Secret is read again, and a role's credentials are taken anew from those that boto3 uses;
earlier if the old ones are refused, as boto3 does not keep any."""
MAX_FAILURES = 5
"""Failures in a row after which only boto3 is used for PAUSE_SECONDS."""
PAUSE_SECONDS = 120.0
"""Longer than obstore keeps credentials that were replaced; with a server for which it never works, it costs little."""
# Port 0 cannot be listened on, so a request to this proxy always fails.
_NOWHERE = "http://127.0.0.1:0"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")

_log = logging.getLogger(__name__)


class BulkError(Exception):
    """The call failed; boto3 will find out why."""


class WholeObject(NamedTuple):
    """An object as it was read; `etag` as the server sent it, if it did."""

    data: bytes
    etag: str
    modified: datetime | None


class BulkStore:
    """Reads and writes whole objects of one bucket. Safe to use from several threads."""

    def __init__(self, store: S3Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._failures = 0
        self._paused_until = 0.0

    def get(self, key: str, *, max_bytes: int) -> WholeObject:
        """The whole object. Raises BulkError also beyond `max_bytes`."""
        with self._failures_counted(key):
            found = self._store.get(key)
            about = found.meta  # obstore builds it at each access
            if about["size"] > max_bytes:
                raise BulkError
            return WholeObject(bytes(found.bytes()), about["e_tag"] or "", about["last_modified"])

    @contextmanager
    def part(self, key: str, *, start: int = 0, etag: str = "") -> Iterator[Part]:
        """The object from a byte on, of the version with this ETag, in chunks as they arrive."""
        options: GetOptions = {"range": {"offset": start}} if start else {}
        if start and etag and not etag.startswith("W/"):
            options["if_match"] = etag
        with self._failures_counted(key):
            found = self._store.get(key, options=options)
            chunks = found.stream(min_chunk_size=1)  # unjoined: joining chunks copies them
            yield Part(start, found.meta["e_tag"] or "", map(memoryview, chunks))

    def put(self, key: str, data: bytes) -> None:
        """Write an object in one request."""
        with self._failures_counted(key):
            self._store.put(key, data, use_multipart=False)

    @contextmanager
    def _failures_counted(self, key: str) -> Iterator[None]:
        # obstore removes slashes that mean nothing in a file system; in a bucket they are part of the key.
        if self._clock.monotonic() < self._paused_until or "" in key.split("/"):
            raise BulkError
        try:
            yield
        except (FileNotFoundError, ValueError) as error:  # no such object, or a key that obstore refuses
            raise BulkError from error
        except BaseError as error:
            self._failures += 1
            if self._failures == MAX_FAILURES:
                self._failures, self._paused_until = 0, self._clock.monotonic() + PAUSE_SECONDS
                _log.warning("obstore fails, using boto3 only for %.0f s: %s", PAUSE_SECONDS, type(error).__name__)
            raise BulkError from error
        self._failures = 0


def open_bulk(
    config: AgentConfig, bucket: str, credentials: Credentials, *, endpoint: str, limits: Limits, clock: Clock
) -> BulkStore | None:
    """The bucket at `endpoint`; None if obstore cannot, or must not, be used for it.

    As with boto3, the environment does not change where data goes, redirects to other hosts are not followed, and the
    same certificate authorities are trusted.
    """
    storage = config.resolved.storage
    if config.proxy is not None:
        return None  # redirects are prevented by a proxy that leads nowhere, see _NOWHERE: there can be only one
    virtual = storage.addressing == "virtual"
    url = urlsplit(endpoint)
    url = url._replace(netloc=f"{bucket}.{url.netloc}") if virtual else url
    if url.hostname is None or not _BUCKET.fullmatch(bucket):
        return None
    if storage.refused_networks and url.scheme == "http" and not _is_address(url.hostname):
        return None  # the guard does not see obstore's sockets, and without TLS a name may resolve to any address
    client: Any = {  # the type lacks some of these options
        "allow_http": url.scheme == "http",
        "connect_timeout": timedelta(seconds=limits.connect),
        "read_timeout": timedelta(seconds=limits.read),
        "timeout": timedelta(days=1),  # large objects take long; read_timeout notices a stall
        "proxy_url": _NOWHERE,
        "proxy_excludes": url.hostname,
        "root_certificate": (config.ca_file or Path(str(get_cert_path(verify=True)))).read_bytes(),
        "disable_system_certificates": True,
    }
    try:
        return BulkStore(
            S3Store(
                bucket,
                aws_endpoint_url_s3=url.geturl(),
                region=storage.region,
                virtual_hosted_style_request=virtual,
                skip_signature=False,
                client_options=client,
                retry_config={"max_retries": 0},
                credential_provider=_provider(credentials),
                **encryption_options(storage.encryption),
                # AWS demands a checksum for buckets with Object Lock. SHA-256 is computed for the signature anyway.
                config={} if storage.endpoint else {"checksum_algorithm": "SHA256"},
            ),
            clock,
        )
    except (BaseError, ValueError) as error:
        _log.warning("obstore cannot be used: %s", type(error).__name__)
        return None


def _is_address(host: str) -> bool:
    """Whether the host is an IP address; the operator has checked those."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _provider(credentials: Credentials) -> Callable[[], S3Credential]:
    def provide() -> S3Credential:
        found = credentials.get_frozen_credentials()
        return {
            "access_key_id": found.access_key or "",
            "secret_access_key": found.secret_key or "",
            "token": found.token,
            "expires_at": datetime.now(UTC) + timedelta(seconds=CREDENTIALS_SECONDS),
        }

    return provide
