"""A server of one object whose connections break: S3 or a web server, as far as GetObject goes."""

from __future__ import annotations

import re
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PIECE = 1 << 16


class FlakyServer:
    """Sends `data` under any key; `breaks` are the bytes of each answer after which its connection is closed.

    The last of them counts for all later answers, None for an answer that is complete. `requests` has the headers
    Range and If-Match of each, `sent` the bytes of the object that were sent. The first `away` requests get 503. With
    `partial`, also an answer to a request for all is called a part.
    """

    def __init__(self, data: bytes, *, certificate: Path | None = None) -> None:
        self.data, self.etag, self.next_version = data, '"one"', b""
        self.breaks: list[int | None] = [None]
        self.requests: list[tuple[str | None, str | None]] = []
        self.sent = self.away = 0
        self.knows_range = self.knows_if_match = True
        self.content_range = "bytes {start}-{last}/{size}"
        self.chunked = self.partial = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 30
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers

            def do_GET(self) -> None:
                with suppress(OSError):  # the client has what it wants
                    server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.endpoint = f"http{'s' if certificate else ''}://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        wanted, condition = to.headers["Range"], to.headers["If-Match"]
        self.requests.append((wanted, condition))
        if self.away:
            self.away -= 1
            self._status(to, 503)
            return
        if self.next_version and len(self.requests) > 1:
            self.data, self.etag, self.next_version = self.next_version, self.etag and '"two"', b""
        if condition is not None and self.knows_if_match and condition != self.etag:
            self._status(to, 412)
            return
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "") if self.knows_range else None
        start = int(found[1]) if found else 0
        if found and start >= len(self.data):
            self._status(to, 416)
            return
        to.send_response_only(206 if found or self.partial else 200)
        if found or self.partial:
            last, size = len(self.data) - 1, len(self.data)
            to.send_header("Content-Range", self.content_range.format(start=start, last=last, size=size))
        self._send(to, memoryview(self.data)[start:])

    def _status(self, to: BaseHTTPRequestHandler, status: int) -> None:
        to.send_response_only(status)
        to.send_header("Content-Length", "0")
        to.end_headers()

    def _send(self, to: BaseHTTPRequestHandler, body: memoryview) -> None:
        if self.etag:
            to.send_header("ETag", self.etag)
        to.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        if self.chunked:
            to.send_header("Transfer-Encoding", "chunked")
        else:
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        stop = self.breaks.pop(0) if len(self.breaks) > 1 else self.breaks[0]
        part = body[:stop]
        for at in range(0, len(part), PIECE):
            piece = part[at : at + PIECE]
            self.sent += len(piece)  # before it is sent: the client may be done with it at once
            if self.chunked:
                to.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
            else:
                to.wfile.write(piece)
        to.close_connection = stop is not None and (stop < len(body) or self.chunked)
        if self.chunked and not to.close_connection:
            to.wfile.write(b"0\r\n\r\n")
