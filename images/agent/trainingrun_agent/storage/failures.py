"""Explains errors of botocore: what they mean for the run, and what the user can do.

Invariant: every error becomes StorageRefused (somebody must change something) or StorageOutage (waiting may help).
Messages name the call, the bucket, the key and the endpoint. Texts of the server are shortened and redacted.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ProxyConnectionError,
    SSLError,
)
from urllib3.exceptions import HTTPError, NameResolutionError  # boto3 needs urllib3

from trainingrun_agent.errors import NotFound, ObjectArchived, StageError, StorageOutage, StorageRefused
from trainingrun_agent.reasons.access import ENCRYPTION_REFUSED
from trainingrun_agent.reasons.entry import Outcome, Reason
from trainingrun_agent.reasons.storage import (
    ADDRESS_REFUSED,
    BUCKET_NOT_FOUND,
    ENDPOINT_NOT_S3,
    ENDPOINT_UNREACHABLE,
    OBJECT_NOT_FOUND,
    REQUEST_REFUSED,
    TLS_ERROR,
)
from trainingrun_agent.reasons.storage_answers import (
    ASKED_ENCRYPTION_NOT_OFFERED,
    BUCKET_HOST_NOT_CERTIFIED,
    BUCKET_HOST_UNKNOWN,
    OBJECT_ARCHIVED,
    PATH_STYLE_REFUSED,
)
from trainingrun_agent.storage.access import DIRECT, Access, proxy_failure
from trainingrun_agent.storage.bounded_answers import UnreadableAnswerError
from trainingrun_agent.storage.error_answers import Answer, answer_of
from trainingrun_agent.storage.error_codes import reason_of
from trainingrun_agent.storage.guard import refusal_behind
from trainingrun_agent.storage.redirects import elsewhere
from trainingrun_agent.storage.server_words import is_transient_tls, kind_of, quote
from trainingrun_agent.terms import Change, Message, Terms

_OTHER_NAME = re.compile(r"hostname mismatch|doesn't match|not valid for", re.IGNORECASE)
_STORAGE_CLASS = re.compile(r"[A-Z_]{1,40}")
_KINDS: dict[str, type[StageError]] = {OBJECT_NOT_FOUND.name: NotFound, OBJECT_ARCHIVED.name: ObjectArchived}
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
    addressing: str = "path"

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


def encryption_not_offered(error: ClientError, target: Target, *, call: str, key: str) -> StageError:
    """The StageError for an answer of the server that turned out to be about the encryption, whatever it says."""
    text = _words_of(answer_of(error, call))
    encryption = target.access.encryption
    entry = ENCRYPTION_REFUSED if encryption and encryption.kms_key_id else ASKED_ENCRYPTION_NOT_OFFERED
    return _failed(entry, target, call=call, key=key, answer=text)


def explain(error: Exception, target: Target, *, call: str, key: str) -> StageError:
    """The StageError for an error raised by `call` (S3's own name for it) on `key`."""
    if isinstance(error, ClientError):
        return _answered(error, target, call=call, key=key)
    if isinstance(error, SSLError) and not is_transient_tls(error):
        answer = str(error.kwargs["error"])
        by_name = target.addressing == "virtual" and _OTHER_NAME.search(answer)
        entry = BUCKET_HOST_NOT_CERTIFIED if by_name else TLS_ERROR
        return _failed(entry, target, call=call, key=key, answer=quote(answer))
    if isinstance(error, ParamValidationError):
        entry = BUCKET_NOT_FOUND if "bucket name" in str(error).lower() else REQUEST_REFUSED
        return _failed(entry, target, call=call, key=key, answer=quote(str(error)))
    if isinstance(error, ProxyConnectionError):
        return proxy_failure(error, what=_what(target, call, key))
    if isinstance(error, EndpointConnectionError):
        return _unconnected(error, target, call=call, key=key)
    cause = error.kwargs.get("error") if isinstance(error, HTTPClientError) else error
    if isinstance(cause, UnreadableAnswerError):
        return not_s3(target, call=call, key=key, what=str(cause))
    if isinstance(error, BotoCoreError | HTTPError):
        return _failed(ENDPOINT_UNREACHABLE, target, call=call, key=key, answer=kind_of(error))
    return not_s3(target, call=call, key=key, what=type(error).__name__)


def endless(target: Target, *, key: str, entry: Reason, **values: object) -> StorageRefused:
    """The error for a listing that does not end."""
    return StorageRefused(entry, where=target.where(key), **values)


def not_s3(target: Target, *, call: str, key: str, what: str) -> StorageRefused:
    """The error for a server whose answers are not those of S3."""
    return StorageRefused(ENDPOINT_NOT_S3, call=call, where=target.where(key), answer=what)


def _answered(error: ClientError, target: Target, *, call: str, key: str) -> StageError:
    answer = answer_of(error, call)
    entry, values = elsewhere(answer, bucket=target.bucket, endpoint=target.endpoint, addressing=target.addressing) or (
        target.access.case(reason_of(answer), answer),
        {},
    )
    text = _words_of(answer)
    if entry is PATH_STYLE_REFUSED:
        values = {"change_addressing": Change("storage.addressing", to="virtual")}
    if entry is OBJECT_ARCHIVED and _STORAGE_CLASS.fullmatch(answer.detail("StorageClass")):
        values = {"storage_class": answer.detail("StorageClass")}
        text += f", storage class {answer.detail('StorageClass')}"
    return _failed(entry, target, call=call, key=key, answer=text, **values)


def _words_of(answer: Answer) -> str:
    """What a server answered, for a message."""
    text = f"{answer.status} {quote(answer.code)}" if answer.is_s3 else f"{answer.status}"
    if answer.text and answer.text != answer.code:
        text += f", {quote(answer.text)}"
    return f"{text}, from {quote(answer.answered_by)}" if answer.answered_by else text


def _failed(entry: Reason, target: Target, *, call: str, key: str, answer: str, **values: object) -> StageError:
    """The error for a call that failed, of the class that its reason has."""
    kind = _KINDS.get(entry.name) or (StorageOutage if entry.outcome is Outcome.STORAGE_OUTAGE else StorageRefused)
    if entry is BUCKET_NOT_FOUND:
        values["change_bucket"] = Change(target.field)
    return kind(
        entry,
        call=call,
        where=target.where(key),
        what=_what(target, call, key),
        answer=answer,
        action=_ACTIONS.get(call, "s3:PutObject"),
        bucket=target.bucket,
        **target.access.values,
        **values,
    )


def _what(target: Target, call: str, key: str) -> Message:
    return Message("{call} on {where}", {"call": call, "where": target.where(key)})


def _unconnected(error: EndpointConnectionError, target: Target, *, call: str, key: str) -> StageError:
    refusal = refusal_behind(error.kwargs["error"])
    if refusal is not None:
        return StorageRefused(ADDRESS_REFUSED, endpoint=target.endpoint or "AWS", address=refusal.address)
    answer = kind_of(error)
    host = urlsplit(target.endpoint or "").hostname
    unknown = target.addressing == "virtual" and isinstance(error.kwargs["error"], NameResolutionError)
    if unknown and host and _has_address(host):
        return _failed(BUCKET_HOST_UNKNOWN, target, call=call, key=key, answer=answer, host=host)
    return _failed(ENDPOINT_UNREACHABLE, target, call=call, key=key, answer=answer)


def _has_address(host: str) -> bool:
    """Whether DNS knows the host; it has just answered about another."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return True
