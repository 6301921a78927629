"""MinIO, at the last version of its Go module: the project is frozen, but many run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trcluster.build import ensure
from trcluster.modules import MINIO
from trservers.process import free_endpoint, new_account, started
from trservers.server import Server


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server with its data below `folder`."""
    binary = ensure(("minio",), echo=print)["minio"]
    access_key, secret_key = new_account()
    server = Server("MinIO", MINIO, free_endpoint(), access_key, secret_key)
    (folder / "data").mkdir()
    argv: list[str | Path] = [
        binary,
        "server",
        "--address",
        server.endpoint.removeprefix("http://"),
        "--quiet",
        folder / "data",
    ]
    env = {
        "MINIO_ROOT_USER": access_key,
        "MINIO_ROOT_PASSWORD": secret_key,
        "MINIO_BROWSER": "off",
        "HOME": str(folder),
    }
    with started(argv, endpoint=server.endpoint, log=folder / "log", env=env):
        yield server
