"""S3Proxy: a gateway in Java, here to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trservers.install import jars
from trservers.process import free_endpoint, new_account, started
from trservers.server import Server

VERSION: Final = "4.1.0"
LOGGING: Final = """<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%msg%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="out"/></root>
</configuration>
"""
"""Without it, every step of every request is logged."""


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server with its data below `folder`."""
    classes = jars("s3proxy", VERSION)
    access_key, secret_key = new_account()
    server = Server("S3Proxy", VERSION, free_endpoint(), access_key, secret_key)
    (folder / "data").mkdir()
    settings = {
        "s3proxy.endpoint": server.endpoint,
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": access_key,
        "s3proxy.credential": secret_key,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.identity": "local",
        "jclouds.credential": "local",
        "jclouds.filesystem.basedir": str(folder / "data"),
    }
    properties = folder / "s3proxy.conf"
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (folder / "logback.xml").write_text(LOGGING)
    argv: list[str | Path] = [
        "java",
        f"-Dlogback.configurationFile={folder / 'logback.xml'}",
        "-cp",
        f"{classes}/*",
        "org.gaul.s3proxy.Main",
        "--properties",
        properties,
    ]
    with started(argv, endpoint=server.endpoint, log=folder / "log"):
        yield server
