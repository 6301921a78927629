"""moto: AWS in memory, in this process. It checks no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from moto.server import ThreadedMotoServer

from trservers.server import Server


@contextmanager
def running(_folder: Path) -> Iterator[Server]:
    """Start the server; it stores nothing on disk."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Server("moto", version("moto"), f"http://{host}:{port}", "test", "test")
    finally:
        server.stop()
