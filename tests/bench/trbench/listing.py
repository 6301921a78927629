"""Count the requests that listing a bucket takes, with a server that only lists keys."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from trainingrun_agent.progress import Progress
from trbench.agent_store import POD, open_store
from trcluster import ClusterError
from trdemo.target import Storage

BUCKET, PREFIX = "bench", "images/"
PAGE: Final = 1000
"""Largest number of keys in one answer of S3."""
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
)
_KEY: Final = (
    "<Contents><Key>{}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><ETag>&quot;{:032x}&quot;</ETag>"
    "<Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def requests_for(keys: int) -> int:
    """List a bucket with so many keys; returns the number of requests. Raises ClusterError if a key is missing."""
    with _server(keys) as (endpoint, requests), tempfile.TemporaryDirectory(prefix="trbench-") as folder:
        progress = Progress(stage="prep", pod_uid=POD)
        storage = Storage(endpoint, "", "TRBENCH", "secret")
        store = open_store(storage, BUCKET, Path(folder), progress=progress, stop=threading.Event())
        found = sum(1 for _ in store.list(PREFIX))
    if found != keys:
        raise ClusterError(f"{found} of {keys} keys were listed")
    return len(requests)


@contextmanager
def _server(keys: int) -> Iterator[tuple[str, list[str]]]:
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requests.append(self.path)
            asked = parse_qs(urlsplit(self.path).query)
            body = _page(keys, int(asked.get("continuation-token", ["0"])[0])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


def _page(keys: int, start: int) -> str:
    end = min(keys, start + PAGE)
    more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < keys else ""
    listed = "".join([_KEY.format(f"{PREFIX}{number:07d}", number) for number in range(start, end)])
    return (
        f"{_HEAD}<Name>{BUCKET}</Name><Prefix>{PREFIX}</Prefix><KeyCount>{end - start}</KeyCount>"
        f"<MaxKeys>{PAGE}</MaxKeys><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{listed}</ListBucketResult>"
    )
