"""Makes boto3's S3 client with every setting explicit.

Invariant: endpoint, region, credentials, proxies and CA come from the config alone; neither the environment nor files
in the home folder change where data goes. Every connection and read has a time-out.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any, Literal, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.reasons.storage import CA_NOT_MOUNTED, CA_UNREADABLE, ENDPOINT_UNUSABLE
from trainingrun_agent.storage.credentials import MountedProvider


class Limits(NamedTuple):
    """Time-outs in seconds, and how many times botocore sends a request."""

    connect: float
    read: float
    attempts: int


# Outages are waited for in retry.py; botocore only repeats a single lost request.
WORK = Limits(connect=5, read=60, attempts=3)
# The first call that fails must be explained at once; a slow server has time.
PREFLIGHT = Limits(connect=5, read=60, attempts=1)
# Nothing depends on the answer: a server that hangs must show within seconds, and so must one that is back.
HEARTBEAT = Limits(connect=3, read=5, attempts=1)
MAX_CONNECTIONS = 32


def make_client(config: AgentConfig, *, limits: Limits = WORK) -> Any:
    """A thread-safe S3 client. Raises StorageRefused for an endpoint or CA bundle that cannot be used."""
    storage = config.resolved.storage
    try:
        client = _session(config).client(
            "s3",
            endpoint_url=storage.endpoint,
            region_name=storage.region,
            verify=_verify(config),
            config=settings(endpoint=storage.endpoint, addressing=storage.addressing, limits=limits, proxies={}),
        )
    except ValueError as error:
        raise StorageRefused(ENDPOINT_UNUSABLE, endpoint=storage.endpoint, problem=error) from error
    client.meta.events.register("before-call.s3", refuse_redirect)
    return client


def refuse_redirect(params: dict[str, Any], **_: Any) -> None:
    """Make botocore raise an error that names the region, instead of following redirects without end."""
    params["context"]["s3_redirect"]["redirected"] = True


def _session(config: AgentConfig) -> boto3.Session:
    # A variable that has no name in the environment and in files always has its default.
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
            "ignore_configured_endpoint_urls": (None, None, True, None),
        }
    )
    session.register_component("data_loader", _loader())
    session.register_component("credential_provider", MountedProvider(config.credentials_dir))
    return boto3.Session(botocore_session=session)


@cache
def _loader() -> Loader:
    """Parsing the description of S3 takes most of the time of making a client: do it once per process."""
    return create_loader()


def settings(
    *,
    endpoint: str | None,
    addressing: Literal["path", "virtual"],
    limits: Limits,
    proxies: dict[str, str] | None = None,
) -> Config:
    """Settings of the client; without `proxies` those of the environment are used."""
    # Many S3-compatible servers refuse, or store, the checksum trailers that newer SDKs add on their own.
    checksums: Literal["when_supported", "when_required"]
    checksums = "when_supported" if endpoint is None else "when_required"
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
        max_pool_connections=MAX_CONNECTIONS,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        proxies=proxies,
        tcp_keepalive=True,
    )


def _verify(config: AgentConfig) -> bool | str:
    path = config.ca_file
    if path is None:
        return True
    if not path.is_file():
        raise StorageRefused(CA_NOT_MOUNTED, path=path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        # Its content must not be shown: it may be any key of any ConfigMap in the namespace.
        raise StorageRefused(CA_UNREADABLE) from error
    return str(path)
