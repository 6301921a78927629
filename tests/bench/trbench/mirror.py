"""Count the requests that TensorBoard's mirror of a finished run makes to the bucket, in a minute without changes.

The mirror is the program that runs in its container; a proxy in front of a real S3 server counts its requests.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from trainingrun.api.names import run_prefix
from trainingrun.api.settings import Policy
from trainingrun.domain.resolve import resolve
from trainingrun_agent.mirror.loop import BUSY_SECONDS, BUSY_TURNS
from trainingrun_agent.shared import names
from trbench.measurements import Echo, Measurement
from trbench.s3_server import s3_server
from trcluster.waiting import until
from trdemo.bucket import Bucket
from trdemo.target import Storage
from trfakes.builders import SETTINGS, a_run

BUCKET: Final = "bench"
LIMIT: Final = 6
MINUTES: Final = 1
ATTEMPTS, CHECKPOINTS = 3, 20  # of a run of 20,000 steps that was interrupted twice
FILE: Final = "events.out.tfevents.1700000000.host"
EVENTS: Final = b"e" * 200_000


def measure(echo: Echo) -> Iterator[Measurement]:
    """Count the mirror's requests: first to download everything, then in a minute."""
    with s3_server(echo) as (storage, files), counted(storage) as (endpoint, requests):
        run = a_run().spec(storage={"endpoint": endpoint, "bucket": BUCKET}).build()
        prefix = run_prefix(run.namespace, name=run.name, uid=run.uid, storage_prefix="")
        bucket = Bucket(storage, BUCKET)
        bucket.create()
        bucket.put_all(_objects(prefix))
        # The policy names the endpoint, because a wildcard never allows a loopback address.
        settings = replace(SETTINGS, policy=Policy(endpoints=(endpoint,)))
        document = resolve(run, settings=settings, find_run=lambda _: None)
        with _mirror(files, document, storage):
            _until_complete(files / "shared" / names.LOGS)
            time.sleep(BUSY_TURNS * BUSY_SECONDS + 1)
            yield Measurement("requests to download a finished run's curves", requests.total(), "")
            requests.clear()
            time.sleep(60 * MINUTES)
            by_kind = ", ".join(f"{count} {kind}" for kind, count in requests.items())
            a_minute = requests.total() / MINUTES
            yield Measurement("requests a minute while nothing is new", a_minute, "/min", LIMIT, by_kind)


def _objects(prefix: str) -> Iterator[tuple[str, bytes]]:
    for epoch in range(2, 2 + ATTEMPTS):
        attempt = f"{prefix}/train/{epoch:04d}-0a1b2c3d"
        for step in range(CHECKPOINTS):
            folder = f"{attempt}/checkpoints/{(epoch * CHECKPOINTS + step) * 1000:08d}"
            yield from ((f"{folder}/{name}", b"x") for name in ("MANIFEST.json", "model.ckpt.data", "model.ckpt.index"))
        for kind in ("train", "eval_0"):
            yield f"{attempt}/events/{kind}/{FILE}/{0:020d}", EVENTS


@contextmanager
def _mirror(files: Path, document: dict[str, Any], storage: Storage) -> Iterator[None]:
    for folder in ("credentials", "shared"):
        (files / folder).mkdir()
    (files / "credentials" / "AWS_ACCESS_KEY_ID").write_text(storage.access_key)
    (files / "credentials" / "AWS_SECRET_ACCESS_KEY").write_text(storage.secret_key)
    (files / "resolved").write_text(json.dumps(document))
    argv = [sys.executable, "-m", "trainingrun_agent", "mirror", "--port", "0"]
    for path in ("resolved", "credentials", "shared"):
        argv += [f"--{path}", str(files / path)]
    with (
        (files / "log").open("wb") as log,
        subprocess.Popen(argv, env={**os.environ, "NO_PROXY": "*"}, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def _until_complete(logs: Path) -> None:
    def size() -> int:
        return sum(path.stat().st_size for path in logs.rglob("events*"))

    until(
        lambda: size() >= 2 * ATTEMPTS * len(EVENTS),
        what=f"the event files in {logs}",
        seconds=60,
        seen=lambda: f"{size()} bytes",
    )


@contextmanager
def counted(storage: Storage) -> Iterator[tuple[str, Counter[str]]]:
    """Count requests in a proxy in front of the server; yields its address and the counts by kind."""
    requests: Counter[str] = Counter()
    server = urlsplit(storage.endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 120

        def pass_on(self) -> None:
            requests["list" if "list-type" in self.path else self.command] += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(server, timeout=30)
            # The original Host goes with it, because the signature covers it.
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_DELETE = pass_on  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}", requests
        proxy.shutdown()
