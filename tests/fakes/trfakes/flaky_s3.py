"""A reverse proxy for an S3 server that answers 503 in bursts, as when overloaded, knows no access key, or hangs.

Requests are forwarded unchanged, including Host, so that their signatures stay valid. Invariant: a refused request
never reaches the server.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BURST_SECONDS = 4.0
EVERY_SECONDS = 10.0
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}
_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>'
)
_UNKNOWN_KEY = _SLOW_DOWN.replace(b"SlowDown", b"InvalidAccessKeyId").replace(b"Reduce your rate", b"No such key")


class FlakyS3:
    """State of the proxy: counts of refused and forwarded requests; `flaky` and `revoked` can be switched."""

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server)
        self.flaky, self.revoked = True, False
        self.refused = self.passed = 0
        self._answering = threading.Event()
        self._answering.set()
        self._began = time.monotonic()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Accept requests and answer none until the end of the block."""
        self._answering.clear()
        try:
            yield
        finally:
            self._answering.set()

    def wait(self) -> None:
        """Wait for the end of a hang."""
        self._answering.wait()

    def refuses(self) -> bool:
        """Decide whether to refuse a request now, and count it."""
        refuse = self.flaky and (time.monotonic() - self._began) % EVERY_SECONDS < BURST_SECONDS
        if refuse:
            self.refused += 1
        else:
            self.passed += 1
        return refuse


@contextmanager
def flaky_s3(server: str, *, address: str) -> Iterator[tuple[FlakyS3, str]]:
    """Run the proxy on a free port of this address; yields it and its endpoint."""
    proxy = FlakyS3(server)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server((address, 0), handler) as http_server:
        http_server.daemon_threads = True
        thread = threading.Thread(target=http_server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy, f"http://{address}:{http_server.server_port}"
        finally:
            http_server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    # The library's 5: further connections of one burst look open to the client, and their requests wait for
    # retransmissions with growing pauses.
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    proxy: FlakyS3
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
    timeout = 60

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.wait()
        if self.proxy.revoked:
            self._send(403, {"Content-Type": "application/xml"}, _UNKNOWN_KEY)
            return
        if self.proxy.refuses():
            self._send(503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
            return
        connection = http.client.HTTPConnection(self.proxy.server.netloc, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {*_OF_ONE_CONNECTION, "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            self._send(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers.items():
            if name.lower() == "content-length":
                length = value  # for HEAD: the object's size, although no body follows
            elif name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
        """Do not log requests."""
