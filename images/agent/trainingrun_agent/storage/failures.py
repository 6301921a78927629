"""Explains errors of botocore: what they mean for the run, and what the user can do.

Invariant: every error becomes StorageRefused (somebody must change something) or StorageOutage (waiting may help).
Messages name the call, the bucket, the key and the endpoint. Texts of the server are shortened and redacted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ProxyConnectionError,
    SSLError,
)

from trainingrun_agent.errors import NotFound, StageError, StorageOutage, StorageRefused
from trainingrun_agent.reasons.entry import Outcome, Reason
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    ADDRESS_REFUSED,
    BUCKET_NOT_FOUND,
    CLOCK_SKEW,
    ENDPOINT_NOT_S3,
    ENDPOINT_UNREACHABLE,
    INVALID_CREDENTIALS,
    OBJECT_NOT_FOUND,
    REQUEST_REFUSED,
    SERVER_ERROR,
    TLS_ERROR,
    WRONG_REGION,
)
from trainingrun_agent.storage.access import DIRECT, Access, proxy_failure
from trainingrun_agent.storage.bounded_answers import AnswerTooLongError
from trainingrun_agent.storage.guard import refusal_behind
from trainingrun_agent.storage.server_words import is_transient_tls, kind_of, quote
from trainingrun_agent.terms import Change, Message, Terms

_CODES = {
    "NoSuchBucket": BUCKET_NOT_FOUND,
    "InvalidBucketName": BUCKET_NOT_FOUND,
    "InvalidAccessKeyId": INVALID_CREDENTIALS,
    "SignatureDoesNotMatch": INVALID_CREDENTIALS,
    "InvalidTokenId": INVALID_CREDENTIALS,
    "TokenRefreshRequired": INVALID_CREDENTIALS,
    "InvalidToken": INVALID_CREDENTIALS,
    "ExpiredToken": INVALID_CREDENTIALS,
    "InvalidSecurity": INVALID_CREDENTIALS,
    "AccessDenied": ACCESS_DENIED,
    "AllAccessDisabled": ACCESS_DENIED,
    "AccountProblem": ACCESS_DENIED,
    "RequestTimeTooSkewed": CLOCK_SKEW,
    "RequestExpired": CLOCK_SKEW,
    "PermanentRedirect": WRONG_REGION,
    "AuthorizationHeaderMalformed": WRONG_REGION,
    "IllegalLocationConstraintException": WRONG_REGION,
    "NoSuchKey": OBJECT_NOT_FOUND,
    "RequestTimeout": SERVER_ERROR,
    "SlowDown": SERVER_ERROR,
    "TooManyRequests": SERVER_ERROR,
    "Throttling": SERVER_ERROR,
    "OperationAborted": SERVER_ERROR,
    "ConditionalRequestConflict": SERVER_ERROR,
    "NotImplemented": REQUEST_REFUSED,
}
_STATUSES = {401: INVALID_CREDENTIALS, 403: ACCESS_DENIED, 429: SERVER_ERROR, 301: WRONG_REGION}
_REGION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjects": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
}


@dataclass(frozen=True)
class Target:
    """The storage that a call was made to; `field` is the path below spec of the field that names the bucket."""

    bucket: str
    endpoint: str | None
    field: str
    access: Access = DIRECT

    def where(self, key: str) -> Where:
        """The address of a key in the bucket, with the server."""
        return Where(self, key)


@dataclass(frozen=True)
class Where:
    """An address for messages: `s3://bucket/key at http://…`."""

    target: Target
    key: str

    def in_terms(self, terms: Terms) -> str:
        """The address, with the server."""
        return f"{terms.place(self.target.bucket, self.key)} at {self.target.endpoint or 'AWS'}"


def explain(error: Exception, target: Target, *, call: str, key: str) -> StageError:
    """The StageError for an error raised by `call` (S3's own name for it) on `key`."""
    if isinstance(error, ClientError):
        return _answered(error, target, call=call, key=key)
    if isinstance(error, SSLError) and not is_transient_tls(error):
        return _failed(TLS_ERROR, target, call=call, key=key, answer=quote(str(error.kwargs["error"])))
    if isinstance(error, ParamValidationError):
        entry = BUCKET_NOT_FOUND if "bucket name" in str(error).lower() else REQUEST_REFUSED
        return _failed(entry, target, call=call, key=key, answer=quote(str(error)))
    if isinstance(error, ProxyConnectionError):
        return proxy_failure(error, what=_what(target, call, key))
    if isinstance(error, EndpointConnectionError) and (refusal := refusal_behind(error.kwargs["error"])):
        return StorageRefused(ADDRESS_REFUSED, endpoint=target.endpoint or "AWS", address=refusal.address)
    if isinstance(error, HTTPClientError) and isinstance(error.kwargs.get("error"), AnswerTooLongError):
        return not_s3(target, call=call, key=key, what=str(error.kwargs["error"]))
    if isinstance(error, BotoCoreError):
        return _failed(ENDPOINT_UNREACHABLE, target, call=call, key=key, answer=kind_of(error))
    return not_s3(target, call=call, key=key, what=type(error).__name__)


def endless(target: Target, *, key: str, entry: Reason, **values: object) -> StorageRefused:
    """The error for a listing that does not end."""
    return StorageRefused(entry, where=target.where(key), **values)


def not_s3(target: Target, *, call: str, key: str, what: str) -> StorageRefused:
    """The error for a server whose answers are not those of S3."""
    return StorageRefused(ENDPOINT_NOT_S3, call=call, where=target.where(key), answer=what)


def _answered(error: ClientError, target: Target, *, call: str, key: str) -> StageError:
    metadata = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = str(error.response.get("Error", {}).get("Message", ""))
    answer = f"{status} {quote(code)}"
    if text and text != code:
        answer += f", {quote(text)}"
    region = str(metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))
    entry = target.access.case(_entry(code, status, call), call=call, code=code, text=text, status=status)
    return _failed(entry, target, call=call, key=key, answer=answer, region=region)


def _failed(entry: Reason, target: Target, *, call: str, key: str, answer: str, region: str = "") -> StageError:
    """The error for a call that failed, of the class that its reason has."""
    kind: type[StageError] = NotFound if entry is OBJECT_NOT_FOUND else StorageRefused
    kind = StorageOutage if entry.outcome is Outcome.STORAGE_OUTAGE else kind
    return kind(
        entry,
        call=call,
        where=target.where(key),
        what=_what(target, call, key),
        answer=answer,
        action=_ACTIONS.get(call, "s3:PutObject"),
        bucket=target.bucket,
        **target.access.values,
        **_changes(entry, target, region),
    )


def _what(target: Target, call: str, key: str) -> Message:
    return Message("{call} on {where}", {"call": call, "where": target.where(key)})


def _changes(entry: Reason, target: Target, region: str) -> dict[str, Change]:
    if entry is BUCKET_NOT_FOUND:
        return {"change_bucket": Change(target.field)}
    if entry is WRONG_REGION and _REGION.fullmatch(region):
        return {"change_region": Change("storage.region", to=region)}
    return {}


def _entry(code: str, status: int, call: str) -> Reason:
    if code in _CODES:
        return _CODES[code]
    if status == 404 and call in ("HeadObject", "GetObject"):
        return OBJECT_NOT_FOUND
    # Without an S3 error document botocore makes the HTTP status the code: a web server, not S3.
    if (code.isdigit() or not code) and status in (400, 404, 405) and call != "HeadObject":
        return ENDPOINT_NOT_S3
    if status >= 500:
        return SERVER_ERROR
    return _STATUSES.get(status, REQUEST_REFUSED)
