"""Downloads an archive from an https address that users name: the only transfer that is not with storage.

Invariant: the host is never another one than that of the address, and refused networks are never connected to
(web_connection.py). Time-outs and size are bounded; no credentials or cookies are sent, and proxies of the environment
are not used.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from botocore.httpsession import get_cert_path

from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.reasons.weights import (
    PRETRAINED_UNREACHABLE,
    WEIGHTS_ADDRESS_REFUSED,
    WEIGHTS_NOT_AT_ADDRESS,
    WEIGHTS_OTHER_ANSWER,
    WEIGHTS_REDIRECTED,
    WEIGHTS_TOO_LARGE,
)
from trainingrun_agent.storage import streams
from trainingrun_agent.storage.guard import AddressRefusedError, Network
from trainingrun_agent.storage.web_connection import WebConnection
from trainingrun_agent.terms import Message

MAX_REDIRECTS: Final = 5
MAX_QUOTE: Final = 200
_CHUNK: Final = 1 << 20
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_GONE: Final = (404, 410)
_PASSING: Final = (408, 425, 429)


@dataclass(frozen=True)
class WebArchive:
    """An archive at `url`; no connection is made to `refused` networks. `ca_file` is trusted beside public CAs.

    `proxy` is the address of the HTTP proxy to go through, None for none.
    """

    url: str
    refused: Sequence[Network] = ()
    ca_file: Path | None = None
    proxy: str | None = None

    def download(
        self, path: Path, *, limit: int, on_size: Callable[[int], None], on_bytes: Callable[[int], None]
    ) -> tuple[int, str]:
        """Write the archive to a new file; returns its size and SHA-256 in hex.

        `on_size` gets the size if the server tells it, `on_bytes` byte increments, a negative one after an error.
        Raises UserError, DiskFull, and StageError for what another attempt may not meet again.
        """
        try:
            with _opened(self) as answer:
                promised = answer.length
                if promised is not None:
                    self._check_size(promised, limit)
                    on_size(promised)
                what = Message("{url}", {"url": self.url})
                size, sha256 = streams.save(_chunks(answer), path, limit=limit, on_bytes=on_bytes, what=what)
        except AddressRefusedError as error:
            raise UserError(WEIGHTS_ADDRESS_REFUSED, place=self.url, address=error.address) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise StageError(PRETRAINED_UNREACHABLE, place=self.url, problem=_in_words(error)) from error
        self._check_size(size, limit)
        if promised is not None and size < promised:
            problem = f"the connection was lost after {size} of {promised} bytes"
            raise StageError(PRETRAINED_UNREACHABLE, place=self.url, problem=problem)
        return size, sha256

    def _check_size(self, size: int, limit: int) -> None:
        if size > limit:
            raise UserError(WEIGHTS_TOO_LARGE, place=self.url, size=size, limit=limit)


@contextmanager
def _opened(archive: WebArchive) -> Iterator[http.client.HTTPResponse]:
    """The answer with the archive, after redirects within the host."""
    context, url = _context(archive.ca_file), archive.url
    for _ in range(MAX_REDIRECTS + 1):
        where = urlsplit(url)
        # Closing the connection closes the answer as well, unless the server has said that it closes it.
        with closing(_connection(archive, where, context)) as connection:
            connection.request("GET", where.path, headers={"Accept-Encoding": "identity", "Connection": "close"})
            with connection.getresponse() as answer:
                if answer.status == http.HTTPStatus.OK:
                    yield answer
                    return
                url = _next(archive, where, answer)
    raise UserError(WEIGHTS_OTHER_ANSWER, place=archive.url, problem="redirects without end")


def _connection(archive: WebArchive, where: SplitResult, context: ssl.SSLContext) -> WebConnection:
    return WebConnection(where, context=context, refused=archive.refused, proxy=archive.proxy)


def _next(archive: WebArchive, where: SplitResult, answer: http.client.HTTPResponse) -> str:
    """The address of the same host that the answer redirects to; raises for every other answer."""
    status = answer.status
    location = answer.getheader("Location", "")
    if status in _REDIRECTS and location:
        to = _redirected(archive, where, location)
        if (to.scheme, to.netloc) != (where.scheme, where.netloc) or to.query:
            host = to.netloc.rpartition("@")[2]
            raise UserError(WEIGHTS_REDIRECTED, place=archive.url, to=f"{to.scheme}://{host}"[:MAX_QUOTE])
        return to.geturl()
    if status in _GONE:
        raise UserError(WEIGHTS_NOT_AT_ADDRESS, place=archive.url, status=status)
    if status in _PASSING or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise StageError(PRETRAINED_UNREACHABLE, place=archive.url, problem=f"its host answers {status}")
    raise UserError(WEIGHTS_OTHER_ANSWER, place=archive.url, problem=f"answers {status} instead of an archive")


def _redirected(archive: WebArchive, where: SplitResult, location: str) -> SplitResult:
    try:
        to = urlsplit(urljoin(where.geturl(), location))
        to.path.encode("ascii")
    except ValueError as error:
        shown = location.partition("?")[0][:MAX_QUOTE]  # the rest may be a token
        problem = f"redirects to {shown!a}, which is no address"
        raise UserError(WEIGHTS_OTHER_ANSWER, place=archive.url, problem=problem) from error
    return to


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=get_cert_path(True))
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """What has arrived, as it arrives: a slow server must not delay the end of the pod."""
    while chunk := answer.read1(_CHUNK):
        yield chunk


def _in_words(error: Exception) -> str:
    """What went wrong, without the numbers of the operating system."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, socket.gaierror | UnicodeError):  # the latter for a name with a part that is too long
        return "its host has no address"
    if isinstance(error, TimeoutError):
        return "its host does not answer in time"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return text[:MAX_QUOTE]
