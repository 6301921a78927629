"""A small HTTP proxy on loopback: it forwards http and makes tunnels for https, or refuses to.

Names that end in `-behind` are known to it alone, so that a server under such a name can be reached only through it.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "-behind"


class SmallProxy:
    """A proxy; `requests` are the lines that it got, `refuse` is a status to answer everything with.

    `certificate`, with its key, makes it an https proxy.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: list[str] = []
        self.refuse = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
            timeout = 10

            def do_CONNECT(self) -> None:
                if self.refused():
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((_address(host), int(port)), timeout=10) as server:
                    self.send_response_only(200)
                    self.end_headers()
                    _copy(self.connection, server)
                self.close_connection = True

            def forward(self) -> None:
                if self.refused():
                    return
                where = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = HTTPConnection(_address(where.hostname or ""), where.port or 80, timeout=10)
                connection.request(self.command, where._replace(scheme="", netloc="").geturl(), body, {**self.headers})
                answer = connection.getresponse()
                data = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(data)
                connection.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 - the library's names

            def refused(self) -> bool:
                proxy.requests.append(f"{self.command} {self.path}")
                if proxy.refuse:
                    page = b"<html>the proxy says no</html>"
                    self.send_response(proxy.refuse)
                    self.send_header("Content-Type", "text/html")
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(page)
                return bool(proxy.refuse)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


def _address(host: str) -> str:
    return "127.0.0.1" if host.endswith(HIDDEN) else host


def _copy(client: socket.socket, server: socket.socket) -> None:
    """Pass bytes on in both directions until one side ends."""
    ends = {client: server, server: client}
    while True:
        pending = isinstance(client, ssl.SSLSocket) and client.pending()
        readable = [client] if pending else select.select(list(ends), [], [], 10)[0]
        for end in readable:
            data = end.recv(65536)
            if not data:
                return
            ends[end].sendall(data)
        if not readable:
            return
