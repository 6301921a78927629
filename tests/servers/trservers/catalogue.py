"""The S3 servers that tests can run against, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Final

from trservers.server import Server

MOTO: Final = "moto"
QUICK: Final = ("versitygw", "seaweedfs")
"""In `make test`: they are built with the test cluster's programs."""
ALL: Final = (*QUICK, "minio", "rclone", "s3proxy", "s3s-fs", "s3mock", MOTO)
"""In `make servers`."""


def running(name: str, folder: Path) -> AbstractContextManager[Server]:
    """Start a server that keeps its data below `folder`, an empty one; what it needs is built or fetched first."""
    module = import_module(f"trservers.{name.replace('-', '_')}")
    start: Callable[[Path], AbstractContextManager[Server]] = module.running
    return start(folder)
