"""Run the test cluster's S3 server without a cluster, on a loopback address with a temporary folder.

Invariant: server and folder are removed when the block ends.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from trbench.measurements import Echo
from trcluster.build import ensure
from trcluster.kubectl import http_ok
from trcluster.ports import choose
from trcluster.process import end_of
from trcluster.waiting import until
from trdemo.target import Storage


@contextmanager
def s3_server(echo: Echo, *, cores: Collection[int] = ()) -> Iterator[tuple[Storage, Path]]:
    """Start the server; yields its address and account, and a folder for the caller's files on the same disk.

    The server runs on `cores` only, if any are given.
    """
    binary = ensure(("versitygw",), echo=echo)["versitygw"]
    (port,) = choose(1, ())
    storage = Storage(f"http://127.0.0.1:{port}", "", f"TR{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30))
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        folder, log = Path(name), Path(name) / "log"
        for each in ("data", "iam", "files"):
            (folder / each).mkdir()
        # Without --keep-alive it closes each connection after one request; other S3 servers do not.
        address = ["--port", f"127.0.0.1:{port}", "--health", "/healthz", "--keep-alive"]
        argv = [str(binary), *address, "--quiet", "--iam-dir", str(folder / "iam"), "posix", str(folder / "data")]
        account = {"ROOT_ACCESS_KEY": storage.access_key, "ROOT_SECRET_KEY": storage.secret_key}
        with log.open("wb") as output:
            with on_cores(cores):
                process = subprocess.Popen(argv, env={**os.environ, **account}, stdout=output, stderr=output)
            try:
                until(
                    lambda: http_ok(f"{storage.endpoint}/healthz"),
                    what=f"versitygw on port {port} to be ready",
                    seconds=60,
                    seen=lambda: end_of(log),
                )
                yield storage, folder / "files"
            finally:
                process.kill()
                process.wait()


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Restrict this process, and processes started in the block, to these cores; without any, change nothing."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
