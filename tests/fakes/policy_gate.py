"""S3 behind a policy of its bucket: requests that create objects without the demanded headers are denied.

It checks on the wire and passes everything else on to a real server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>explicit deny in a policy</Message></Error>"
EXPIRED = b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>expired</Message></Error>"


class PolicyGate:
    """`demanded` are headers with their values; `created` are the requests that created objects, `denied` the others.

    `answer`, if given, is sent to those that create one, in place of the server's. `expired_part` has one part of an
    upload refused, as if the credentials had expired meanwhile.
    """

    def __init__(self, upstream: str, demanded: Mapping[str, str]) -> None:
        self.created: list[str] = []
        self.denied: list[str] = []
        self.answer: tuple[int, bytes] | None = None
        self.expired_part = False
        gate, where = self, urlsplit(upstream)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
            timeout = 10

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, data = self.decide() or self.passed_on(body)
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(data)

            def decide(self) -> tuple[int, list[tuple[str, str]], bytes] | None:
                query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
                if gate.expired_part and self.command == "PUT" and "uploadId" in query:
                    gate.expired_part = False
                    return 400, [("Content-Type", "application/xml")], EXPIRED
                creates = "uploads" in query or (self.command == "PUT" and "uploadId" not in query)
                if not creates:
                    return None
                allowed = all(self.headers.get(name) == value for name, value in demanded.items())
                line = f"{self.command} {urlsplit(self.path).path}{'?uploads' if 'uploads' in query else ''}"
                (gate.created if allowed else gate.denied).append(line)
                if allowed and gate.answer is None:
                    return None
                status, data = gate.answer if allowed and gate.answer else (403, DENIED)
                return status, [("Content-Type", "application/xml")], data

            def passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
                connection = HTTPConnection(where.hostname or "", where.port, timeout=10)
                connection.request(self.command, self.path, body, {**self.headers})
                answer = connection.getresponse()
                found = answer.status, answer.getheaders(), answer.read()
                connection.close()
                return found

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}"


@contextmanager
def serve(upstream: str, demanded: Mapping[str, str]) -> Iterator[PolicyGate]:
    """Run the gate on a loopback address until the block ends."""
    gate = PolicyGate(upstream, demanded)
    thread = threading.Thread(target=gate.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        gate.http.shutdown()
        gate.http.server_close()
        thread.join()
