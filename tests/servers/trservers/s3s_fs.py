"""s3s-fs: the file system server of the Rust library s3s; its documentation calls it experimental."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trservers.install import crate
from trservers.process import free_endpoint, new_account, started
from trservers.server import Server

VERSION: Final = "0.14.1"
"""The newest that Rust 1.95 compiles."""


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server with its data below `folder`."""
    binary = crate("s3s-fs", VERSION, features="binary")
    access_key, secret_key = new_account()
    server = Server("s3s-fs", VERSION, free_endpoint(), access_key, secret_key)
    (folder / "data").mkdir()
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    account = ["--access-key", access_key, "--secret-key", secret_key]
    argv: list[str | Path] = [binary, "--host", host, "--port", port, *account, folder / "data"]
    with started(argv, endpoint=server.endpoint, log=folder / "log"):
        yield server
