"""Makes boto3's clients of S3 and of an STS with every setting explicit.

Invariant: endpoint, region, credentials, proxies and CA come from the config alone; neither the environment nor files
in the home folder change where data goes. Every connection and read has a time-out.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.httpsession import get_cert_path
from botocore.loaders import Loader, create_loader

from trainingrun_agent.config import AgentConfig, WebIdentity
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.reasons.access import STS_UNUSABLE
from trainingrun_agent.reasons.storage import CA_NOT_MOUNTED, CA_UNREADABLE, ENDPOINT_UNUSABLE
from trainingrun_agent.storage import no_redirects  # noqa: F401 - for botocore, which every client here is of
from trainingrun_agent.storage.credentials import GivenCredentials
from trainingrun_agent.storage.encryption import encrypt


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
# The call that waits for the answer is repeated in retry.py, and credentials are renewed long before they expire.
STS = Limits(connect=5, read=10, attempts=1)
MAX_CONNECTIONS = 32


@runtime_checkable
class Renewable(Protocol):
    """Credentials that want to know when a server refuses them."""

    def watch(self, events: Any) -> None:
        """Look at the answers that a client gets."""


def make_client(config: AgentConfig, credentials: Credentials, *, limits: Limits = WORK) -> Any:
    """A thread-safe S3 client. Raises StorageRefused for an endpoint or CA bundle that cannot be used."""
    storage = config.resolved.storage
    try:
        client = _session(credentials).client(
            "s3",
            endpoint_url=storage.endpoint,
            region_name=storage.region,
            verify=_verify(config),
            config=settings(endpoint=storage.endpoint, addressing=storage.addressing, limits=limits).merge(
                _proxies(config)
            ),
        )
    except ValueError as error:
        raise StorageRefused(ENDPOINT_UNUSABLE, endpoint=storage.endpoint, problem=error) from error
    client.meta.events.register("before-call.s3", refuse_redirect)
    if storage.encryption is not None:
        encrypt(client.meta.events, storage.encryption)
    if isinstance(credentials, Renewable):
        credentials.watch(client.meta.events)
    return client


def make_sts_client(config: AgentConfig, identity: WebIdentity) -> Any:
    """A thread-safe client of the STS, which signs nothing: a token is all that it has.

    Raises StorageRefused for an endpoint or CA bundle that cannot be used.
    """
    try:
        client = _session(None).client(
            "sts",
            endpoint_url=identity.sts_endpoint,
            region_name=config.resolved.storage.region,
            verify=_verify(config),
            config=Config(
                signature_version=UNSIGNED,
                # Servers other than AWS need no role, and have shorter ones: the STS itself refuses what it does not
                # take.
                parameter_validation=False,
                connect_timeout=STS.connect,
                read_timeout=STS.read,
                retries={"mode": "standard", "total_max_attempts": STS.attempts},
            ).merge(_proxies(config)),
        )
    except ValueError as error:
        raise StorageRefused(STS_UNUSABLE, sts=identity.sts_endpoint, problem=error) from error
    client.meta.events.register("provide-client-params.sts", _without_absent)
    return client


def _without_absent(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Leave out a role that the run does not name, instead of inventing one that a server may look up."""
    return {name: value for name, value in params.items() if value is not None}


def refuse_redirect(params: dict[str, Any], **_: Any) -> None:
    """Make botocore raise an error that names the region, instead of following redirects without end."""
    params["context"]["s3_redirect"]["redirected"] = True


def _session(credentials: Credentials | None) -> boto3.Session:
    # A variable that has no name in the environment and in files always has its default.
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
            "ignore_configured_endpoint_urls": (None, None, True, None),
            "use_dualstack_endpoint": (None, None, False, None),
            "use_fips_endpoint": (None, None, False, None),
        }
    )
    session.register_component("data_loader", _loader())
    session.register_component("credential_provider", GivenCredentials(credentials))
    return boto3.Session(botocore_session=session)


@cache
def _loader() -> Loader:
    """Parsing the description of a service takes most of the time of making a client: do it once per process."""
    return create_loader()


def _proxies(config: AgentConfig) -> Config:
    """Settings of the proxy; without one there is none, whatever the environment says."""
    if config.proxy is None:
        return Config(proxies={})
    # Without a bundle, the certificate of an https proxy is checked against the system's, which images lack.
    trusted = get_cert_path(True) if config.ca_file is None else str(config.ca_file)
    return Config(
        proxies={"http": config.proxy, "https": config.proxy}, proxies_config={"proxy_ca_bundle": str(trusted)}
    )


def settings(*, endpoint: str | None, addressing: Literal["path", "virtual"], limits: Limits) -> Config:
    """Settings of the client, with the proxies of the environment."""
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
