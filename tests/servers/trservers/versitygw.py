"""versitygw, the S3 server of the test cluster: a gateway to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trcluster.build import Echo, ensure
from trcluster.modules import VERSITYGW
from trservers.process import free_endpoint, new_account, started
from trservers.server import Server


@contextmanager
def running(folder: Path, *, echo: Echo = print) -> Iterator[Server]:
    """Start the server with its data below `folder`."""
    binary = ensure(("versitygw",), echo=echo)["versitygw"]
    access_key, secret_key = new_account()
    server = Server("versitygw", VERSITYGW, free_endpoint(), access_key, secret_key)
    for each in ("data", "iam"):
        (folder / each).mkdir()
    # Without --keep-alive it closes each connection after one request; other S3 servers do not.
    address = ["--port", server.endpoint.removeprefix("http://"), "--keep-alive"]
    argv: list[str | Path] = [binary, *address, "--quiet", "--iam-dir", folder / "iam", "posix", folder / "data"]
    account = {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}
    with started(argv, endpoint=server.endpoint, log=folder / "log", env=account):
        yield server
