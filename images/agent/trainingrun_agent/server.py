"""The agent's HTTP server: /progress, /metrics, /healthz and /trainer-alive.

Invariant: it reads no request body and nothing but what it was made with, so it answers before storage is touched.
GET only; a silent connection is closed.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any, ClassVar

from trainingrun_agent import kubelet_probes
from trainingrun_agent.kubelet_probes import KubeletProbes
from trainingrun_agent.metrics import exposition
from trainingrun_agent.progress import Progress
from trainingrun_agent.trainer_probe import TrainerProbe

PORT = 8080
CONNECTION_TIMEOUT_SECONDS = 10
MAX_CONNECTIONS = 64
"""Open at once; each has a thread. One more ends the oldest, so that nobody is kept out by connections held open."""
POLL_SECONDS = 0.05
"""How long `stop` may take to be noticed."""
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
KUBELET = "kube-probe/"
"""How the User-Agent of the kubelet's probes begins."""


class AgentServer:
    """Serves in its own thread from `start` to `stop`; with port 0 the system picks a free port."""

    def __init__(
        self, progress: Progress, probe: TrainerProbe, kubelet: KubeletProbes, *, host: str, port: int = PORT
    ) -> None:
        handler = type("Handler", (_Handler,), {"progress": progress, "probe": probe, "kubelet": kubelet})
        self._http = _Http((host, port), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(POLL_SECONDS,), name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._http.server_port

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering requests and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    """Serves each connection in a thread, at most MAX_CONNECTIONS at once."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: deque[socket] = deque()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread; called for one connection after the other."""
        self._open = deque(one for one in self._open if one.fileno() >= 0)
        while len(self._open) >= MAX_CONNECTIONS:
            with suppress(OSError):  # its thread has just closed it
                self._open[0].shutdown(SHUT_RDWR)
            self._open.popleft()
        self._open.append(request)
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    progress: ClassVar[Progress]
    probe: ClassVar[TrainerProbe]
    kubelet: ClassVar[KubeletProbes]
    timeout = CONNECTION_TIMEOUT_SECONDS
    server_version = "trainingrun-agent"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a request for one of the four paths."""
        path = self.path.partition("?")[0]
        match path:
            case "/progress":
                self._answer(HTTPStatus.OK, JSON, json.dumps(self.progress.snapshot(), allow_nan=False))
            case "/metrics":
                self._answer(HTTPStatus.OK, PROMETHEUS, exposition(self.progress))
            case "/healthz":
                self._answer(HTTPStatus.OK, TEXT, "ok\n")
            case kubelet_probes.TRAINER_ALIVE:
                reason = self.probe.stall_reason()
                status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
                self._answer(status, TEXT, f"{reason or 'ok'}\n")
            case _:
                self._answer(HTTPStatus.NOT_FOUND, TEXT, "/progress /metrics /healthz /trainer-alive\n")
        if self.headers.get("User-Agent", "").startswith(KUBELET):
            self.kubelet.answered(path)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is the library's
        """Keep probes and polls out of the log."""

    def _answer(self, status: HTTPStatus, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
