"""SeaweedFS: `weed mini`, all its parts in one process, with its STS where tests ask for one.

`weed server` would do as well, but waits ten seconds for other servers before it accepts the first object.

Invariant: it serves nothing but loopback unless a test names another address, and reports to nobody.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trcluster.build import ensure
from trcluster.command import last_lines
from trcluster.kubectl import http_ok
from trcluster.modules import SEAWEEDFS
from trcluster.paths import clusters_root
from trcluster.ports import choose, reservation
from trcluster.waiting import patience, until

from .server import Server

LOOPBACK = "127.0.0.1"
PARTS = ("master", "volume", "filer", "s3", "admin")
ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # one volume per bucket instead of seven
START_SECONDS, END_SECONDS = 60, 20


@contextmanager
def running(folder: Path, *, address: str = LOOPBACK, identity: Mapping[str, Any] | None = None) -> Iterator[Server]:
    """Start a server with its data in the empty `folder`, on ports of `address`; ends it afterwards.

    `identity` is the content of its file for STS, see `seaweedfs_identity`. Builds the program if the cache lacks it.
    """
    program = ensure(("weed",), echo=print)["weed"]
    with reservation(clusters_root()) as taken:
        numbers = choose(2 * len(PARTS), taken)
    ports = dict(zip((*PARTS, *(f"{part} grpc" for part in PARTS)), numbers, strict=True))
    server = Server("SeaweedFS", SEAWEEDFS, f"http://{address}:{ports['s3']}", "weed", secrets.token_urlsafe(30))
    argv = [str(program), *_files(folder, server, identity), *_flags(folder, ports, address)]
    if identity is not None:
        argv.append(f"-s3.iam.config={folder / 'identity.json'}")
    log = folder / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=folder, env=_environment(folder), stdout=output, stderr=output)
    try:
        _wait(process, server, f"http://{address}:{ports['master']}", log)
        yield server
    finally:
        _end(process)
        for part in PARTS:  # the folder of these sockets is fixed, and it leaves them behind
            Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part} grpc']}.sock").unlink(missing_ok=True)


def _files(folder: Path, server: Server, identity: Mapping[str, Any] | None) -> list[str]:
    """Write account and identity; the program's own options, which come before the command."""
    account = {"accessKey": server.access_key, "secretKey": server.secret_key}
    users = {"identities": [{"name": "admin", "credentials": [account], "actions": ["Admin"]}]}
    for name, content in (("account.json", users), ("identity.json", identity)):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")
    return ["-logtostderr", f"-config_dir={folder}", "mini"]


def _flags(folder: Path, ports: Mapping[str, int], address: str) -> list[str]:
    """Options of `weed mini`."""
    (folder / "data").mkdir()
    return [
        f"-dir={folder / 'data'}",
        f"-ip={address}",
        f"-ip.bind={address}",
        *(f"-{part}.port={ports[part]}" for part in PARTS),
        *(f"-{part}.port.grpc={ports[f'{part} grpc']}" for part in PARTS),
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=1000",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3.autoCreateBucket=false",  # otherwise a mistyped bucket of an administrator comes into being
        f"-s3.config={folder / 'account.json'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-admin.ui=false",
        "-admin.port.legacy=0",
        "-webdav=false",
    ]


def _environment(folder: Path) -> dict[str, str]:
    """The machine's own settings of AWS and SeaweedFS do not count here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WEED_", "S3_"))}
    return {**kept, **ENVIRONMENT, "HOME": str(folder)}


def _wait(process: subprocess.Popen[bytes], server: Server, master: str, log: Path) -> None:
    """Wait until S3 answers and the master finds a place for an object."""

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"weed ended with exit code {process.returncode}:\n{_end_of(log)}")
        return http_ok(f"{server.endpoint}/healthz") and http_ok(f"{master}/dir/assign")

    until(ready, what="SeaweedFS to answer", seconds=patience(START_SECONDS), seen=lambda: _end_of(log))


def _end_of(log: Path) -> str:
    return last_lines(log.read_text(encoding="utf-8", errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
