"""Makes the S3 client of boto3 with every choice spelled out.

Invariant: endpoint, region, credentials, proxies and CA come from the config alone; the environment and dot
files do not change where data goes. Every connection and read has a timeout.
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
    """Time-outs in seconds, and how often botocore itself sends a request."""

    connect: float
    read: float
    attempts: int


# Patience for outages is above (retry.py); botocore only rides over a single lost request.
WORK = Limits(connect=5, read=60, attempts=3)
# The first failing call has to be seen within ten seconds of the pod's start.
PREFLIGHT = Limits(connect=3, read=6, attempts=1)
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
    client.meta.events.register("before-call.s3", stay)
    return client


def stay(params: dict[str, Any], **_: Any) -> None:
    """Make a redirect an error that names the region, instead of a search that may never end."""
    params["context"]["s3_redirect"]["redirected"] = True


def _session(config: AgentConfig) -> boto3.Session:
    # A variable without a name in the environment and in files has its default and nothing else.
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
    """The description of S3 takes most of the time a client needs: parse it once per process."""
    return create_loader()


def settings(
    *,
    endpoint: str | None,
    addressing: Literal["path", "virtual"],
    limits: Limits,
    proxies: dict[str, str] | None = None,
) -> Config:
    """How the client talks to a server; without `proxies` the environment says which."""
    # Many S3-compatible servers refuse, or store, the checksum trailers newer SDKs add by themselves.
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
        # Its content is not ours to show: it may be any key of any ConfigMap in the namespace.
        raise StorageRefused(CA_UNREADABLE) from error
    return str(path)
