"""Downloads an archive from an https address that users name: the only transfer that is not with storage.

Invariant: the host is never another one than that of the address, and refused networks are never connected to
(web_connection.py). Time and size are bounded; no credentials or cookies are sent, and proxies of the environment
are not used.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from botocore.httpsession import get_cert_path

from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.reasons.weights import (
    PRETRAINED_UNREACHABLE,
    WEIGHTS_ADDRESS_REFUSED,
    WEIGHTS_NOT_AT_ADDRESS,
    WEIGHTS_OTHER_ANSWER,
    WEIGHTS_REDIRECTED,
    WEIGHTS_TOO_LARGE,
)
from trainingrun_agent.storage.downloads import CONTENT_RANGE, WORTH_GOING_ON
from trainingrun_agent.storage.guard import AddressRefusedError, Network
from trainingrun_agent.storage.streams import Arrived, Part
from trainingrun_agent.storage.web_connection import WebConnection
from trainingrun_agent.terms import Message

TOTAL_SECONDS: Final = 14_400.0
MAX_REDIRECTS: Final = 5
MAX_QUOTE: Final = 200
_CHUNK: Final = 1 << 20
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_GONE: Final = (404, 410)
_PASSING: Final = (408, 416, 425, 429)


@dataclass(frozen=True)
class WebArchive:
    """An archive at `url`; no connection is made to `refused` networks. `ca_file` is trusted beside public CAs.

    `proxy` is the address of the HTTP proxy to go through, None for none.
    """

    url: str
    refused: Sequence[Network] = ()
    ca_file: Path | None = None
    proxy: str | None = None
    clock: Clock = field(default_factory=Clock)

    def download(
        self, path: Path, *, limit: int, on_size: Callable[[int], None], on_bytes: Callable[[int], None]
    ) -> tuple[int, str]:
        """Write the archive to a new file; returns its size and SHA-256 in hex.

        `on_size` gets the size if the server tells it, `on_bytes` byte increments, a negative one after an error.
        Raises UserError, DiskFull, and StageError for what another attempt may not meet again.
        """
        end = self.clock.monotonic() + TOTAL_SECONDS
        with Arrived(path, on_bytes) as arrived:
            while True:
                before, size = arrived.furthest, arrived.size
                problem = self._receive(arrived, limit=limit, on_size=_ignore if before else on_size, end=end)
                if not problem:
                    return arrived.size, arrived.keep()
                replaced = size and not arrived.size
                if arrived.furthest - before < WORTH_GOING_ON and not replaced:
                    raise StageError(PRETRAINED_UNREACHABLE, place=self.url, problem=problem)

    def _receive(self, arrived: Arrived, *, limit: int, on_size: Callable[[int], None], end: float) -> str:
        """Receive what is missing; returns what went wrong, empty when all has arrived."""
        try:
            with _opened(self, arrived) as answer:
                part = Part(_start_of(answer), answer.getheader("ETag", ""), self._chunks(answer, end))
                if not arrived.fits(part):
                    arrived.restart()
                    if part.start:
                        return "it was replaced while it was read"
                promised = None if answer.length is None else arrived.size + answer.length
                if promised is not None:
                    self._check_size(promised, limit)
                    on_size(promised)
                arrived.take(part, limit=limit, what=Message("{url}", {"url": self.url}))
        except AddressRefusedError as error:
            raise UserError(WEIGHTS_ADDRESS_REFUSED, place=self.url, address=error.address) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            return _in_words(error)
        self._check_size(arrived.size, limit)
        if promised is not None and arrived.size < promised:
            return f"the connection was lost after {arrived.size} of {promised} bytes"
        return ""

    def _chunks(self, answer: http.client.HTTPResponse, end: float) -> Iterator[bytes]:
        """What has arrived, as it arrives: a slow server must not delay the end of the pod."""
        while chunk := answer.read1(_CHUNK):
            yield chunk
            if self.clock.monotonic() > end:
                problem = f"it did not arrive within {TOTAL_SECONDS:.0f} s"
                raise StageError(PRETRAINED_UNREACHABLE, place=self.url, problem=problem)

    def _check_size(self, size: int, limit: int) -> None:
        if size > limit:
            raise UserError(WEIGHTS_TOO_LARGE, place=self.url, size=size, limit=limit)


@contextmanager
def _opened(archive: WebArchive, arrived: Arrived) -> Iterator[http.client.HTTPResponse]:
    """The answer with the archive, or with what is missing of it, after redirects within the host."""
    context, url = _context(archive.ca_file), archive.url
    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    wanted = {http.HTTPStatus.OK}
    if arrived.size:
        headers |= {"Range": f"bytes={arrived.size}-"}
        wanted.add(http.HTTPStatus.PARTIAL_CONTENT)
    for _ in range(MAX_REDIRECTS + 1):
        where = urlsplit(url)
        # Closing the connection closes the answer as well, unless the server has said that it closes it.
        with closing(_connection(archive, where, context)) as connection:
            connection.request("GET", where.path, headers=headers)
            with connection.getresponse() as answer:
                if answer.status in wanted:
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


def _start_of(answer: http.client.HTTPResponse) -> int:
    """Where the archive begins in the answer: -1 for a part of which the server does not say which."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = CONTENT_RANGE.match(answer.getheader("Content-Range", ""))
    return int(found[1]) if found else -1


def _ignore(size: int) -> None:
    """Report nothing: the size is known."""


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
