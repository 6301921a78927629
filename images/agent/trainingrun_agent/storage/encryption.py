"""Encryption by the server: what every request that creates an object asks for.

Invariant: no object of a run with spec.storage.encryption is written without it, whoever writes it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from trainingrun_agent.config import Encryption

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


def _with(wanted: dict[str, str], params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, **wanted}
