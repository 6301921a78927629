"""A server that answers every request in one way, exactly as some server of S3, or something before it, does."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HTML = "<html><body><h1>No</h1></body></html>"


def document(code: str, text: str = "no", **elements: str) -> str:
    """An error document of S3."""
    more = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message>{more}</Error>"


class RefusingServer:
    """Answers with `status`, `headers` and `body`.

    `requests` has the method, host and path of each request, `request_headers` its headers with names in lower case.
    """

    def __init__(self) -> None:
        self.status, self.body = 403, ""
        self.headers: dict[str, str] = {}
        self.requests: list[str] = []
        self.request_headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body would wait 40 ms for the client to confirm the headers
            timeout = 5

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.requests.append(f"{self.command} {self.headers['Host']}{self.path}")
                server.request_headers.append({name.lower(): value for name, value in self.headers.items()})
                data = server.body.encode()
                self.send_response_only(server.status)
                kind = "application/xml" if server.body.startswith("<?xml") else "text/html"
                for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **server.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_CONNECT = answer  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()
