"""A reverse proxy for an S3 server that answers 503 in bursts, as when overloaded, knows no access key, or hangs.

A test can decide for each request what goes wrong with it: `fault_of`. Requests are forwarded unchanged, including
Host, so that their signatures stay valid. Invariant: a refused request never reaches the server.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from trfakes import s3_faults
from trfakes.s3_faults import Fault, Request

BURST_SECONDS = 4.0
EVERY_SECONDS = 10.0
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}
_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>'
)
_UNKNOWN_KEY = _SLOW_DOWN.replace(b"SlowDown", b"InvalidAccessKeyId").replace(b"Reduce your rate", b"No such key")


class FlakyS3:
    """State of the proxy: counts of refused and forwarded requests; `flaky` and `revoked` can be switched.

    `fault_of` decides what goes wrong with a request, None for nothing; it is called once for each, in many threads.
    """

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server)
        self.flaky, self.revoked = True, False
        self.refused = self.passed = 0
        self.fault_of: Callable[[Request], Fault | None] = lambda _: None
        self.numbers = count(1)
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

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one to be reset without the FIN that the library sends first."""
        if s3_faults.is_reset(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients are killed, and close connections whose answers they do not need."""


class _Handler(BaseHTTPRequestHandler):
    proxy: FlakyS3
    connection: socket.socket
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
    timeout = 60

    def _answer(self) -> None:
        request = Request(next(self.proxy.numbers), self.command, self.path, self.headers)
        fault = self.proxy.fault_of(request)
        body = self._read(request.body_bytes, fault)
        self.proxy.wait()
        if self.proxy.revoked:
            self._send(403, {"Content-Type": "application/xml"}, _UNKNOWN_KEY)
        elif fault in s3_faults.BEFORE:
            self._fail(fault)
        elif self.proxy.refuses():
            self._send(503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
        else:
            self._forward(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

    def _read(self, size: int, fault: Fault | None) -> bytes:
        if fault is Fault.RESET_IN_BODY:
            return self.rfile.read(size // 2)
        if fault is not Fault.SLOW:
            return self.rfile.read(size)
        body = bytearray()
        for piece in s3_faults.pieces(size):
            body += self.rfile.read(piece)
            time.sleep(s3_faults.seconds_for(piece))
        return bytes(body)

    def _fail(self, fault: Fault) -> None:
        """Answer with an error, or not at all."""
        if fault in s3_faults.RESETS:
            self._reset()
            return
        status = s3_faults.STATUS[fault]
        self._send(status, {"Content-Type": "application/xml"}, s3_faults.error_page(status))

    def _forward(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(self.proxy.server.netloc, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {*_OF_ONE_CONNECTION, "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if fault is Fault.LATE:
            time.sleep(s3_faults.LATE_SECONDS)
        if fault in (Fault.ERROR_AFTER, Fault.RESET_AFTER, Fault.LOST_CONDITIONAL):
            self._fail(fault)
        else:
            self._send(answer.status, dict(answer.getheaders()), data, fault)

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None) -> None:
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
            self._send_body(body, fault)

    def _send_body(self, body: bytes, fault: Fault | None) -> None:
        if fault is Fault.TRUNCATED:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault is Fault.SLOW:
            for piece in s3_faults.pieces(len(body)):
                self.wfile.write(body[:piece])
                body = body[piece:]
                time.sleep(s3_faults.seconds_for(piece))
        else:
            self.wfile.write(body)

    def _reset(self) -> None:
        with suppress(OSError):
            s3_faults.reset(self.connection)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
        """Do not log requests."""
