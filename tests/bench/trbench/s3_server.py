"""Run the test cluster's S3 server without a cluster, on a loopback address with a temporary folder.

Invariant: server and folder are removed when the block ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trbench.measurements import Echo
from trdemo.target import Storage
from trservers import versitygw


@contextmanager
def s3_server(echo: Echo, *, cores: Collection[int] = ()) -> Iterator[tuple[Storage, Path]]:
    """Start the server; yields its address and account, and a folder for the caller's files on the same disk.

    The server runs on `cores` only, if any are given.
    """
    with tempfile.TemporaryDirectory(prefix="trbench-") as name, ExitStack() as stack:
        folder, files = Path(name) / "server", Path(name) / "files"
        folder.mkdir()
        files.mkdir()
        with on_cores(cores):
            server = stack.enter_context(versitygw.running(folder, echo=echo))
        yield Storage(server.endpoint, "", server.access_key, server.secret_key), files


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Restrict this process, and processes started in the block, to these cores; without any, change nothing."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
