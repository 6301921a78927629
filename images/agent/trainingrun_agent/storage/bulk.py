"""Whole objects by obstore, which needs a tenth of boto3's time for a request and copies next to nothing.

Invariant: a call works or raises BulkError, which explains nothing: boto3 then does the same again, rides over what
passes and says what does not. So no error of obstore is interpreted, and patience stays in one place (retry.py).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path
from obstore.exceptions import BaseError
from obstore.store import S3Store

from trainingrun_agent.config import AgentConfig
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.credentials import read

if TYPE_CHECKING:
    from obstore.store import S3Credential

CREDENTIALS_SECONDS = 60
"""A rotated Secret is seen after so long, or when the old one is refused: boto3 reads it for every request."""
MAX_FAILURES = 5
"""In a row, before boto3 does everything: obstore does not get on with this server."""
# No port: what would be sent to this proxy fails, and nobody in the pod can take its place.
_NOWHERE = "http://127.0.0.1:0"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")

_log = logging.getLogger(__name__)


class BulkError(Exception):
    """It did not work; boto3 will tell why."""


class Bulk:
    """Reads and writes whole objects of one bucket. Safe to use from several threads."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._failures = 0

    def get(self, key: str, *, max_bytes: int) -> tuple[bytes, str]:
        """The whole object and its ETag. Raises BulkError also beyond `max_bytes`."""
        with self._judged(key):
            found = self._store.get(key)
            about = found.meta  # made anew each time it is asked for
            if about["size"] > max_bytes:
                raise BulkError
            return bytes(found.bytes()), about["e_tag"] or ""

    def chunks(self, key: str) -> Iterator[memoryview]:
        """The whole object, piece by piece."""
        with self._judged(key):
            for chunk in self._store.get(key).stream(min_chunk_size=1):  # as they come: joining them copies
                yield memoryview(chunk)

    def put(self, key: str, data: bytes) -> None:
        """Write an object in one request."""
        with self._judged(key):
            self._store.put(key, data, use_multipart=False)

    @contextmanager
    def _judged(self, key: str) -> Iterator[None]:
        # obstore leaves out slashes that change nothing in a file system; in a bucket they do.
        if self._failures >= MAX_FAILURES or "" in key.split("/"):
            raise BulkError
        try:
            yield
        except (FileNotFoundError, ValueError) as error:  # an object that is not there, a key that it refuses
            raise BulkError from error
        except BaseError as error:
            self._failures += 1
            if self._failures == MAX_FAILURES:
                _log.warning("obstore fails on this server, going on without it: %s", type(error).__name__)
            raise BulkError from error
        self._failures = 0


def open_bulk(config: AgentConfig, bucket: str, *, endpoint: str, limits: Limits) -> Bulk | None:
    """The bucket at `endpoint`; None when obstore cannot be used for it, or must not.

    As with boto3, the environment does not change where data goes, a redirect to another host is not followed, and the
    same authorities are trusted.
    """
    storage = config.resolved.storage
    virtual = storage.addressing == "virtual"
    url = urlsplit(endpoint)
    url = url._replace(netloc=f"{bucket}.{url.netloc}") if virtual else url
    if url.hostname is None or not _BUCKET.fullmatch(bucket):
        return None
    if storage.refused_networks and url.scheme == "http" and not _is_address(url.hostname):
        return None  # the guard does not see obstore's sockets, and without TLS a name may lead anywhere
    client: Any = {  # its type does not know all of them
        "allow_http": url.scheme == "http",
        "connect_timeout": timedelta(seconds=limits.connect),
        "read_timeout": timedelta(seconds=limits.read),
        "timeout": timedelta(days=1),  # large objects take long: what counts is that bytes come
        "proxy_url": _NOWHERE,
        "proxy_excludes": url.hostname,
        "root_certificate": (config.ca_file or Path(str(get_cert_path(verify=True)))).read_bytes(),
        "disable_system_certificates": True,
    }
    try:
        return Bulk(
            S3Store(
                bucket,
                aws_endpoint_url_s3=url.geturl(),
                region=storage.region,
                virtual_hosted_style_request=virtual,
                skip_signature=False,
                client_options=client,
                retry_config={"max_retries": 0},
                credential_provider=_provider(config),
            )
        )
    except (BaseError, ValueError) as error:
        _log.warning("obstore cannot be used: %s", type(error).__name__)
        return None


def _is_address(host: str) -> bool:
    """Then the operator has looked at it."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _provider(config: AgentConfig) -> Callable[[], S3Credential]:
    def provide() -> S3Credential:
        found = read(config.credentials_dir)
        return {
            "access_key_id": found.access_key or "",
            "secret_access_key": found.secret_key or "",
            "token": found.token,
            "expires_at": datetime.now(UTC) + timedelta(seconds=CREDENTIALS_SECONDS),
        }

    return provide
