"""A running S3 server, as tests see it; each module beside this one starts one kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Server:
    """Address and account of a server; `name` and `version` are those of its project."""

    name: str
    version: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
