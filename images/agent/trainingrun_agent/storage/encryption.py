"""Encryption by the server: what every request that creates an object asks for.

Invariant: no object of a run with spec.storage.encryption is written without it, whoever writes it. The exception is an
empty one, written where the server fails to find out whether encryption is the cause (writes.py).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

from trainingrun_agent.config import AgentConfig, Encryption

_CREATE: Final = ("PutObject", "CreateMultipartUpload")
"""Calls that take the headers; the parts of an upload are encrypted as its beginning asks."""


def encrypt(events: Any, encryption: Encryption) -> None:
    """Make a boto3 client ask for it, also in calls that libraries make."""
    wanted: dict[str, str] = {"ServerSideEncryption": encryption.type}
    if encryption.kms_key_id is not None:
        wanted["SSEKMSKeyId"] = encryption.kms_key_id
    for call in _CREATE:
        events.register(f"provide-client-params.s3.{call}", partial(_with, wanted))


def encryption_options(encryption: Encryption | None) -> dict[str, Any]:
    """The same for a store of obstore."""
    if encryption is None:
        return {}
    options: dict[str, Any] = {"aws_server_side_encryption": encryption.type}
    if encryption.kms_key_id is not None:
        options["aws_sse_kms_key_id"] = encryption.kms_key_id
    return options


def without_encryption(config: AgentConfig) -> AgentConfig:
    """The same configuration for a client that does not ask for it."""
    resolved = config.resolved
    return replace(config, resolved=replace(resolved, storage=replace(resolved.storage, encryption=None)))


def _with(wanted: dict[str, str], params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, **wanted}
