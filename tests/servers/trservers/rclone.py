"""rclone's `serve s3` on a folder; its documentation calls the command experimental."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trcluster.build import ensure
from trcluster.modules import RCLONE
from trservers.process import free_endpoint, new_account, started
from trservers.server import Server


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server with its data below `folder`."""
    binary = ensure(("rclone",), echo=print)["rclone"]
    access_key, secret_key = new_account()
    server = Server("rclone", RCLONE, free_endpoint(), access_key, secret_key)
    (folder / "data").mkdir()
    argv: list[str | Path] = [binary, "serve", "s3", "--addr", server.endpoint.removeprefix("http://"), folder / "data"]
    # A list of pairs as a line of CSV.
    env = {"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"', "RCLONE_CONFIG": "/dev/null"}
    with started(argv, endpoint=server.endpoint, log=folder / "log", env=env):
        yield server
