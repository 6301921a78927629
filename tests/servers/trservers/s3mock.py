"""Adobe's S3Mock: made for tests of programs that use S3; it checks no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trservers.install import jars
from trservers.process import free_endpoint, started
from trservers.server import Server

VERSION: Final = "5.2.0"


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server with its data below `folder`; it also opens a port for HTTPS, which is not used."""
    (jar,) = jars("s3mock", VERSION).glob("*.jar")
    server = Server("S3Mock", VERSION, free_endpoint(), "test", "test")
    (folder / "data").mkdir()
    ports = [f"--http.port={server.endpoint.rpartition(':')[2]}", f"--server.port={free_endpoint().rpartition(':')[2]}"]
    store = f"--com.adobe.testing.s3mock.store.root={folder / 'data'}"
    argv: list[str | Path] = ["java", "-jar", jar, *ports, "--server.address=127.0.0.1", store]
    with started(argv, endpoint=server.endpoint, log=folder / "log"):
        yield server
