"""The bucket of a command, with credentials and certificates from where AWS's own tools read them.

Invariant: nothing secret is on the command line, and nothing secret is printed.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Literal

import boto3
import botocore.session
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from trainingrun_agent import redaction
from trainingrun_agent.cli.options import DEFAULT_REGION
from trainingrun_agent.cli.server import endpoint_of, region_of
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.clock import Clock
from trainingrun_agent.outgoing import outgoing
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.client import Limits, refuse_redirect, settings
from trainingrun_agent.storage.credentials import GivenCredentials
from trainingrun_agent.storage.failures import Target
from trainingrun_agent.storage.s3 import S3Store

LIMITS = Limits(connect=5, read=60, attempts=5)


def open_bucket(bucket: str, arguments: Namespace, *, field: str) -> ObjectStore:
    """A bucket at --endpoint; `field` is the path below spec of the field that names it. Raises UsageError."""
    endpoint = endpoint_of(arguments)
    addressing: Literal["path", "virtual"] = "path" if endpoint else "virtual"
    addressing = arguments.addressing or addressing
    config = settings(endpoint=endpoint, addressing=addressing, limits=LIMITS)
    try:
        session = _session()
        region = region_of(arguments) or session.region_name or DEFAULT_REGION
        client = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    except (BotoCoreError, ClientError, OSError, ValueError) as error:  # of an STS, or of the file with its token
        raise UsageError(f"{outgoing(str(error))}: correct --endpoint, --region or your AWS configuration") from error
    client.meta.events.register("before-call.s3", refuse_redirect)
    return S3Store(client, Target(bucket, endpoint, field, addressing=addressing), clock=Clock())


class RegisteredCredentials(Credentials):
    """Credentials that are registered for redaction each time before they are used: those of a role are renewed."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(access_key="", secret_key="", method=credentials.method)
        self._credentials = credentials

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """See botocore."""
        frozen = self._credentials.get_frozen_credentials()
        for value in (frozen.access_key, frozen.secret_key, frozen.token):
            redaction.register(value or "")
        return frozen


def _session() -> boto3.Session:
    session = botocore.session.get_session()
    found = session.get_component("credential_provider").load_credentials()
    if found is None:
        raise UsageError("no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    credentials = RegisteredCredentials(found)
    credentials.get_frozen_credentials()  # fails now, if they cannot be had
    session.register_component("credential_provider", GivenCredentials(credentials))
    return boto3.Session(botocore_session=session)
