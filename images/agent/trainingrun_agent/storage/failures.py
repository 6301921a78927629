"""Explains errors of botocore: what they mean for the run, and what the user can do.

Invariant: every error becomes StorageRefused (somebody must change something) or StorageOutage (waiting may help).
Messages name the call, the bucket, the key and the endpoint; hints name the field or the key of the Secret. Texts of
the server are shortened and redacted.
"""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    ParamValidationError,
    SSLError,
)

from trainingrun_agent.errors import NotFound, StageError, StorageOutage, StorageRefused
from trainingrun_agent.redaction import redact
from trainingrun_agent.storage.credentials import ACCESS_KEY, SECRET, SECRET_KEY, SESSION_TOKEN
from trainingrun_agent.storage.guard import refusal_behind

MAX_QUOTE = 200

_CODES = {
    "NoSuchBucket": "BucketNotFound",
    "InvalidBucketName": "BucketNotFound",
    "InvalidAccessKeyId": "InvalidCredentials",
    "SignatureDoesNotMatch": "InvalidCredentials",
    "InvalidToken": "InvalidCredentials",
    "ExpiredToken": "InvalidCredentials",
    "InvalidSecurity": "InvalidCredentials",
    "AccessDenied": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "AccountProblem": "AccessDenied",
    "RequestTimeTooSkewed": "ClockSkew",
    "RequestExpired": "ClockSkew",
    "PermanentRedirect": "WrongRegion",
    "AuthorizationHeaderMalformed": "WrongRegion",
    "IllegalLocationConstraintException": "WrongRegion",
    "NoSuchKey": "ObjectNotFound",
    "RequestTimeout": "ServerError",
    "SlowDown": "ServerError",
    "TooManyRequests": "ServerError",
    "Throttling": "ServerError",
    "OperationAborted": "ServerError",
    "ConditionalRequestConflict": "ServerError",
    "NotImplemented": "RequestRefused",
}
_STATUSES = {401: "InvalidCredentials", 403: "AccessDenied", 429: "ServerError", 301: "WrongRegion"}
_TRANSIENT_TLS = ("EOF occurred", "timed out", "reset by peer", "Broken pipe")
_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
}


@dataclass(frozen=True)
class Target:
    """The storage that a call was made to; `field` is the field of the spec that names the bucket."""

    bucket: str
    endpoint: str | None
    field: str

    def where(self, key: str) -> str:
        """`s3://bucket/key at http://…`."""
        return f"s3://{self.bucket}/{key} at {self.endpoint or 'AWS'}"


def explain(error: Exception, target: Target, *, call: str, key: str) -> StageError:
    """The StageError for an error raised by `call` (S3's own name for it) on `key`."""
    if isinstance(error, ClientError):
        return _answered(error, target, call=call, key=key)
    what = f"{call} on {target.where(key)} failed"
    if isinstance(error, SSLError) and not any(mark in str(error) for mark in _TRANSIENT_TLS):
        what += f": {_quote(str(error.kwargs['error']))}"
        return StorageRefused("TLSError", what, hint=_hint("TLSError", target, call))
    if isinstance(error, ParamValidationError):
        reason = "BucketNotFound" if "bucket name" in str(error).lower() else "RequestRefused"
        return StorageRefused(reason, f"{what}: {_quote(str(error))}", hint=_hint(reason, target, call))
    if isinstance(error, EndpointConnectionError):
        refusal = refusal_behind(error.kwargs["error"])
        if refusal is not None:
            return _address_refused(refusal.address, target)
        # The socket's own text, such as a failed DNS lookup, follows the name of the connection object.
        what += f": {_quote(str(error.kwargs['error']).partition('): ')[2] or str(error))}"
        return StorageOutage("EndpointUnreachable", what, hint=_hint("EndpointUnreachable", target, call))
    if isinstance(error, BotoCoreError):
        what += f": {_kind(error)}"
        return StorageOutage("EndpointUnreachable", what, hint=_hint("EndpointUnreachable", target, call))
    return not_s3(target, call=call, key=key, what=type(error).__name__)


def not_s3(target: Target, *, call: str, key: str, what: str) -> StorageRefused:
    """The error for a server whose answers are not those of S3."""
    return StorageRefused(
        "EndpointNotS3",
        f"{call} on {target.where(key)} failed: the answer is not S3 ({what})",
        hint=_hint("EndpointNotS3", target, call),
    )


def _address_refused(address: str, target: Target) -> StorageRefused:
    return StorageRefused(
        "AddressRefused",
        f"spec.storage.endpoint: {target.endpoint or 'AWS'} leads to {address}, which is the pod itself, its node or "
        "the metadata service of its cloud, not storage",
        hint="Correct the endpoint or its DNS entry; where storage really is there, your platform team can allow the "
        "endpoint, without a wildcard in its host, in policy.endpoints of the operator's Helm values.",
    )


def _answered(error: ClientError, target: Target, *, call: str, key: str) -> StageError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = str(error.response.get("Error", {}).get("Message", ""))
    reason = _reason(code, status, call)
    what = f"{call} on {target.where(key)} failed: {status} {_quote(code)}"
    if text and text != code:
        what += f", {_quote(text)}"
    hint = _hint(reason, target, call)
    if reason == "ObjectNotFound":
        return NotFound(what, hint=hint)
    if reason == "ServerError":
        return StorageOutage(reason, what, hint=hint)
    return StorageRefused(reason, what, hint=hint)


def _reason(code: str, status: int, call: str) -> str:
    if code in _CODES:
        return _CODES[code]
    if status == 404 and call in ("HeadObject", "GetObject"):
        return "ObjectNotFound"
    # Without an S3 error document botocore makes the HTTP status the code: a web server, not S3.
    if (code.isdigit() or not code) and status in (400, 404, 405) and call != "HeadObject":
        return "EndpointNotS3"
    if status >= 500:
        return "ServerError"
    return _STATUSES.get(status, "RequestRefused")


def _hint(reason: str, target: Target, call: str) -> str:
    action = _ACTIONS.get(call, "s3:PutObject")
    endpoint = "spec.storage.endpoint"
    return {
        "BucketNotFound": f"Create bucket {target.bucket}, or correct {target.field} or {endpoint}.",
        "AccessDenied": f"Allow {action} on bucket {target.bucket} to the access key in {SECRET}.",
        "InvalidCredentials": f"Check {ACCESS_KEY}, {SECRET_KEY} and {SESSION_TOKEN} (if any) in {SECRET}.",
        "EndpointUnreachable": f"Check that {endpoint} is right and reachable from the namespace's pods.",
        "TLSError": f"Check http or https in {endpoint}; for a private CA set spec.storage.caBundle.",
        "ClockSkew": "Set the clock of the node or of the storage server (NTP).",
        "ServerError": "Look at the log of the storage server; the agent keeps trying.",
        "EndpointNotS3": f"Check http or https, host, port and path of {endpoint}.",
        "WrongRegion": "Set spec.storage.region to the region of the bucket.",
        "ObjectNotFound": "Put the object there, or correct the field that names it.",
    }.get(reason, f"The server does not support {call} as it was sent: check its version.")


def _kind(error: BotoCoreError) -> str:
    return {
        "ConnectTimeoutError": "no connection in time",
        "ReadTimeoutError": "no answer in time",
        "ConnectionClosedError": "connection closed before an answer",
        "ResponseStreamingError": "connection broken while reading",
        "IncompleteReadError": "connection broken while reading",
    }.get(type(error).__name__, f"{type(error).__name__}: {_quote(str(error))}")


def _quote(text: str) -> str:
    plain = " ".join(redact(text).split())
    return plain if len(plain) <= MAX_QUOTE else plain[: MAX_QUOTE - 1] + "…"
