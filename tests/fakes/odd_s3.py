"""A small S3 server in memory that answers on the wire as odd servers do: every oddity is a switch.

Without oddities it answers as S3 does. Signatures are not checked.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from http_serving import serving

CHECKSUM_MISSING = (
    "InvalidRequest",
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
)
_LAST_IN_FOLDER = "\U0010ffff"
HTML = {"Content-Type": "text/html"}
LOCK_HEADERS = {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2036-01-01T00:00:00Z"}


class Stored(NamedTuple):
    """An object."""

    data: bytes
    etag: str
    modified: datetime


class Answer(NamedTuple):
    """An answer; the body of one to HEAD is not sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


def refusal(status: int, code: str, message: str = "no") -> Answer:
    """An answer with an error document."""
    return _xml("Error", f"<Code>{code}</Code><Message>{message}</Message>")._replace(status=status)


@dataclass
class Oddities:
    """What is odd about the server.

    `condition` is how it takes If-None-Match: another answer is given to every put that has it. `list_etag` and
    `get_etag` make the ETag, with its quotes, empty to leave it out. `lacking` are elements and headers that are left
    out. `list_pages` is how many entries a page has at most; without `encodes`, keys in pages are not percent-encoded.
    `encrypted` answers every put that asks for encryption, and the next `failing` puts are answered with 500.
    """

    condition: Literal["honoured", "ignored"] | Answer = "honoured"
    tokens: Literal["good", "none", "same", "ignored"] | Answer = "good"
    start_after: bool = True
    marker: bool = True
    version_1: Answer | None = None
    version_2: Literal["good", "as version 1", "refused"] = "good"
    list_pages: int = 1000
    reverse: bool = False
    encodes: bool = True
    list_etag: Callable[[Stored], str] = lambda stored: f'"{stored.etag}"'
    get_etag: Callable[[Stored], str] = lambda stored: f'"{stored.etag}"'
    list_modified: str = "%Y-%m-%dT%H:%M:%S.123Z"
    lacking: tuple[str, ...] = ()
    checksum: tuple[str, str] | None = None
    deletion: Answer | None = None
    missing_deletion: Answer = field(default_factory=lambda: Answer(204))
    get_headers: Mapping[str, str] = field(default_factory=dict)
    head_headers: Mapping[str, str] = field(default_factory=dict)
    ranges: bool = True
    range_error: bytes = b"<Error><Code>InvalidRange</Code><Message>no such range</Message></Error>"
    completions_failing: int = 0
    encrypted: Answer | None = None
    failing: int = 0
    upper_case: bool = False


class OddS3:
    """One bucket, whatever its name; `requests` are method, key and query of each request, in order."""

    def __init__(self, odd: Oddities) -> None:
        self.odd, self.endpoint = odd, ""
        self.objects: dict[str, Stored] = {}
        self.requests: list[str] = []
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._lock = threading.Lock()
        self._clock = datetime(2026, 1, 1, tzinfo=UTC)

    def store(self, key: str, data: bytes) -> None:
        """Put an object, two seconds after the one before."""
        self._clock += timedelta(seconds=2)
        self.objects[key] = Stored(data, hashlib.md5(data, usedforsecurity=False).hexdigest(), self._clock)

    def count(self, *starts: str) -> int:
        """How many requests began with one of these."""
        return sum(request.startswith(starts) for request in self.requests)

    def answer(self, method: str, key: str, query: dict[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request."""
        with self._lock:
            self.requests.append(f"{method} {key}?{'&'.join(f'{name}={value}' for name, value in query.items())}")
            if not key:
                return self._list(query)
            if "uploads" in query or "uploadId" in query:
                return self._multipart(method, key, query, headers, body)
            if method == "PUT":
                return self._put(key, headers, body)
            if method == "DELETE":
                return self._delete(key)
            return self._get(method, key, headers)

    def _put(self, key: str, headers: Mapping[str, str], body: bytes) -> Answer:
        condition = self.odd.condition
        if self.odd.failing:
            self.odd.failing -= 1
            return refusal(500, "InternalError")
        if self.odd.encrypted is not None and "x-amz-server-side-encryption" in headers:
            return self.odd.encrypted
        if (refused := self._checked(headers, body)) is not None:
            return refused
        if "if-none-match" in headers and isinstance(condition, Answer):
            return condition
        if "if-none-match" in headers and condition == "honoured" and key in self.objects:
            return refusal(412, "PreconditionFailed")
        self.store(key, body)
        return Answer(200, headers={"ETag": self.odd.get_etag(self.objects[key])})

    def _checked(self, headers: Mapping[str, str], body: bytes) -> Answer | None:
        md5 = hashlib.md5(body, usedforsecurity=False)
        real = {"content-md5": md5.digest(), "x-amz-checksum-sha256": hashlib.sha256(body).digest()}
        sent = {name: headers[name] for name in real if name in headers}
        if not sent:
            return None if self.odd.checksum is None else refusal(400, *self.odd.checksum)
        good = all(value == base64.b64encode(real[name]).decode() for name, value in sent.items())
        return None if good else refusal(400, "BadDigest")

    def _delete(self, key: str) -> Answer:
        if key not in self.objects:
            return self.odd.missing_deletion
        if self.odd.deletion is not None:
            return self.odd.deletion
        del self.objects[key]
        return Answer(204)

    def _get(self, method: str, key: str, headers: Mapping[str, str]) -> Answer:
        stored = self.objects.get(key)
        if stored is None:
            return refusal(404, "NoSuchKey")
        about = {"ETag": self.odd.get_etag(stored), "Last-Modified": format_datetime(stored.modified, usegmt=True)}
        about |= {"Content-Length": str(len(stored.data))}
        about |= self.odd.head_headers if method == "HEAD" else self.odd.get_headers
        about = {name: value for name, value in about.items() if value and name not in self.odd.lacking}
        if "range" not in headers or not self.odd.ranges:
            return Answer(200, stored.data, about)
        first, last = (int(text) for text in headers["range"].removeprefix("bytes=").split("-"))
        if first >= len(stored.data):
            return Answer(416, self.odd.range_error)
        part = stored.data[first : last + 1]
        return Answer(206, part, {**about, "Content-Length": str(len(part))})

    def _multipart(
        self, method: str, key: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        upload = query.get("uploadId", f"upload-{len(self._uploads)}")
        if "uploads" in query:
            self._uploads[upload] = {}
            return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        if method == "PUT":
            if (refused := self._checked(headers, body)) is not None:
                return refused
            self._uploads[upload][int(query["partNumber"])] = body
            return Answer(200, headers={"ETag": f'"{len(body)}"'})
        if method == "DELETE":
            del self._uploads[upload]
            return Answer(204)
        if self.odd.completions_failing:
            self.odd.completions_failing -= 1
            return Answer(200, refusal(200, "InternalError").body)
        self.store(key, b"".join(part for _, part in sorted(self._uploads.pop(upload).items())))
        return _xml("CompleteMultipartUploadResult", "<ETag>&quot;0a-2&quot;</ETag>")

    def _list(self, query: dict[str, str]) -> Answer:
        second = query.get("list-type") == "2"
        if not second and self.odd.version_1 is not None:
            return self.odd.version_1
        if second and self.odd.version_2 == "refused":
            return refusal(501, "NotImplemented")
        if isinstance(self.odd.tokens, Answer) and "continuation-token" in query:
            return self.odd.tokens
        if second and self.odd.version_2 == "as version 1":
            second, query = False, {**query, "marker": ""}
        entries = self._entries(query.get("prefix", ""), query.get("delimiter", ""), self._start(query, second=second))
        if self.odd.reverse:
            entries.reverse()
        page = entries[: min(self.odd.list_pages, int(query.get("max-keys", "1000")))]
        encode = quote if self.odd.encodes and query.get("encoding-type") == "url" else str
        return self._page(page, truncated=len(page) < len(entries), second=second, encode=encode)

    def _start(self, query: dict[str, str], *, second: bool) -> str:
        """The key after which a page begins. A folder as token or marker is passed over, as StartAfter it is not."""
        if second and "continuation-token" not in query:
            return query.get("start-after", "") if self.odd.start_after else ""
        if second:
            start = "" if self.odd.tokens == "ignored" else query["continuation-token"].removeprefix("after ")
        else:
            start = query.get("marker", "") if self.odd.marker else ""
        folder = "delimiter" in query and start.endswith("/") and start != query.get("prefix")
        return start + _LAST_IN_FOLDER if folder else start

    def _entries(self, prefix: str, delimiter: str, start: str) -> list[str]:
        found = set()
        for key in self.objects:
            if key.startswith(prefix) and key > start:
                inner, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key[len(prefix) :], "", "")
                found.add(prefix + inner + cut)
        return sorted(found)

    def _page(self, page: list[str], *, truncated: bool, second: bool, encode: Callable[[str], str]) -> Answer:
        fields = {"Name": "bucket", "IsTruncated": str(truncated).lower()}
        if encode is quote:
            fields["EncodingType"] = "url"
        if second:
            fields["KeyCount"] = str(len(page))
            if truncated and self.odd.tokens != "none":
                known = {"same": "again", "ignored": f"t{len(self.requests)}"}
                token = known.get(str(self.odd.tokens), f"after {page[-1]}")
                fields["NextContinuationToken"] = token
        body = _elements(fields, self.odd.lacking)
        for key in page:
            if key in self.objects:
                body += f"<Contents>{_elements({'Key': encode(key), **self._about(key)}, self.odd.lacking)}</Contents>"
            else:
                body += f"<CommonPrefixes><Prefix>{escape(encode(key))}</Prefix></CommonPrefixes>"
        return _xml("ListBucketResult", body)

    def _about(self, key: str) -> dict[str, str]:
        stored = self.objects[key]
        about = {"LastModified": stored.modified.strftime(self.odd.list_modified)}
        about |= {"ETag": self.odd.list_etag(stored), "Size": str(len(stored.data))}
        return {name: value for name, value in about.items() if value}


def _elements(fields: Mapping[str, str], lacking: tuple[str, ...]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if name not in lacking)


def _xml(root: str, inner: str) -> Answer:
    return Answer(200, f'<?xml version="1.0"?><{root}>{inner}</{root}>'.encode(), {"Content-Type": "application/xml"})


@contextmanager
def serve(odd: Oddities | None = None) -> Iterator[OddS3]:
    """Run the server on a loopback address until the block ends."""
    bucket = OddS3(odd or Oddities())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
        timeout = 60

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            key = unquote(url.path).lstrip("/").partition("/")[2]
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            found = bucket.answer(self.command, key, query, headers, body)
            self.send_response_only(found.status)
            length = {} if "Content-Length" in bucket.odd.lacking and self.command == "HEAD" else {"Content-Length": ""}
            for name, value in {**length, **found.headers}.items():
                shown = name.upper() if bucket.odd.upper_case else name
                self.send_header(shown, value or str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Stay quiet."""

    with serving(Handler) as bucket.endpoint:
        yield bucket
