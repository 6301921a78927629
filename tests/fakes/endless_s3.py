"""A fake S3 server that lists any number of keys, or whatever a test wants, and counts requests.

The keys only appear in listings: reading one gives 404 NoSuchKey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from http_serving import serving

PAGE = 1000
_ENTRY = (
    "<Contents><Key>{}</Key><Size>1000</Size><ETag>&quot;{}&quot;</ETag>"
    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
)
_MISSING = "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"


class EndlessS3:
    """Lists `keys` keys below `prefix` of any bucket; `requests` counts by method, listings as LIST.

    `listing`, if given, makes the answer to a listing, of either version, from the number of listings so far.
    """

    def __init__(self, prefix: str, keys: int, listing: Callable[[int], str] | None = None) -> None:
        self.prefix, self.keys, self.listing = prefix, keys, listing
        self.requests: Counter[str] = Counter()
        self.endpoint = ""

    def page(self, query: dict[str, list[str]]) -> str:
        """One answer to ListObjectsV2."""
        if self.listing is not None:
            return self.listing(self.requests["LIST"])
        count = self.keys if query.get("prefix") == [self.prefix] else 0
        start = int(query.get("continuation-token", ["0"])[0])
        end = min(count, start + min(PAGE, int(query.get("max-keys", ["1000"])[0])))
        entries = "".join(_ENTRY.format(f"{self.prefix}{number:07d}.jpg", number) for number in range(start, end))
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
        return (
            f"<ListBucketResult><Name>b</Name><KeyCount>{end - start}</KeyCount>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{entries}</ListBucketResult>"
        )


@contextmanager
def serve(prefix: str, keys: int, listing: Callable[[int], str] | None = None) -> Iterator[EndlessS3]:
    """Run the server on a loopback address until the block ends."""
    bucket = EndlessS3(prefix, keys, listing)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
        timeout = 60

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = parse_qs(urlsplit(self.path).query)
            listing = not query.keys().isdisjoint(("list-type", "marker"))
            bucket.requests["LIST" if listing else self.command] += 1
            status = 200 if listing or self.command == "PUT" else 404
            body = (bucket.page(query) if listing else "" if status == 200 else _MISSING).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Stay quiet."""

    with serving(Handler) as bucket.endpoint:
        yield bucket
