"""Explains errors of the STS: whether waiting may help, and otherwise which field, role or setting to look at.

Invariant: as in failures.py, every error becomes StorageRefused or StorageOutage. Texts of the STS are shortened and
redacted: it may repeat what it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)

from trainingrun_agent.clock import rfc3339
from trainingrun_agent.config import WebIdentity
from trainingrun_agent.errors import StageError, StorageOutage, StorageRefused
from trainingrun_agent.reasons.access import (
    CREDENTIALS_EXPIRED,
    ROLE_MISSING,
    STS_ADDRESS_REFUSED,
    STS_NOT_ONE,
    STS_OR_PROXY_NOT_ONE,
    STS_SERVER_ERROR,
    STS_TLS_ERROR,
    STS_UNREACHABLE,
    TOKEN_EXPIRED,
    TOKEN_NOT_ACCEPTED,
    WEB_IDENTITY_REFUSED,
)
from trainingrun_agent.reasons.entry import Outcome, Reason
from trainingrun_agent.storage.access import proxy_failure
from trainingrun_agent.storage.bounded_answers import UnreadableAnswerError
from trainingrun_agent.storage.guard import refusal_behind
from trainingrun_agent.storage.server_words import is_transient_tls, kind_of, quote
from trainingrun_agent.terms import Message

_WHAT: Final = "AssumeRoleWithWebIdentity at {sts} for {role}"
_CODES: Final = {
    "ExpiredTokenException": TOKEN_EXPIRED,
    "ExpiredToken": TOKEN_EXPIRED,
    "InvalidIdentityToken": TOKEN_NOT_ACCEPTED,
    "InvalidIdentityTokenException": TOKEN_NOT_ACCEPTED,
    "IncorrectTokenAudience": TOKEN_NOT_ACCEPTED,
    "InvalidClientTokenId": TOKEN_NOT_ACCEPTED,
    "MalformedToken": TOKEN_NOT_ACCEPTED,
    "IDPCommunicationError": STS_SERVER_ERROR,
    "Throttling": STS_SERVER_ERROR,
    "ThrottlingException": STS_SERVER_ERROR,
    "RequestLimitExceeded": STS_SERVER_ERROR,
    "RequestTimeout": STS_SERVER_ERROR,
    "SlowDown": STS_SERVER_ERROR,
}
_PARAMETER: Final = {"ValidationError", "MissingParameter", "InvalidParameterValue", "InvalidArgument"}
"""Of servers that find a parameter wrong, and of some for a token that they do not accept."""


def explain(error: Exception, where: WebIdentity, *, proxy: str | None = None) -> StageError:
    """The StageError for an error that botocore raised when it asked the STS, through the proxy if there is one."""
    if isinstance(error, ClientError):
        return _answered(error, where, proxy=proxy)
    if isinstance(error, SSLError) and not is_transient_tls(error):
        return _failed(STS_TLS_ERROR, where, answer=quote(str(error.kwargs["error"])))
    if isinstance(error, ProxyConnectionError):
        return proxy_failure(error, what=Message(_WHAT, {"sts": where.sts_endpoint, "role": _role(where)}))
    if isinstance(error, EndpointConnectionError) and (refusal := refusal_behind(error.kwargs["error"])):
        return _failed(STS_ADDRESS_REFUSED, where, answer="", address=refusal.address)
    if isinstance(error, HTTPClientError) and isinstance(error.kwargs.get("error"), UnreadableAnswerError):
        return not_sts(where, what=str(error.kwargs["error"]), proxy=proxy)
    if isinstance(error, BotoCoreError):
        return _failed(STS_UNREACHABLE, where, answer=kind_of(error))
    return not_sts(where, what=type(error).__name__, proxy=proxy)


def not_sts(where: WebIdentity, *, what: str, proxy: str | None = None) -> StageError:
    """The error for a server whose answers are not those of an STS."""
    if proxy:
        return _failed(STS_OR_PROXY_NOT_ONE, where, answer=what, proxy=proxy)
    return _failed(STS_NOT_ONE, where, answer=what)


def expired(where: WebIdentity, moment: datetime) -> StageError:
    """The error for new credentials that no longer work by the clock of the pod."""
    return _failed(CREDENTIALS_EXPIRED, where, answer="", moment=rfc3339(moment))


def _answered(error: ClientError, where: WebIdentity, *, proxy: str | None) -> StageError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # An error in the form of S3, which some servers use, has no outer element.
    found: Mapping[str, Any] = error.response.get("Error") or error.response
    code, text = str(found.get("Code", "")), str(found.get("Message", ""))
    answer = f"{status} {quote(code)}".rstrip()
    if text and text != code:
        answer += f", {quote(text)}"
    entry = _entry(code, status, text, where)
    if entry is STS_NOT_ONE:
        return not_sts(where, what=answer, proxy=proxy)
    return _failed(entry, where, answer=answer)


def _entry(code: str, status: int, text: str, where: WebIdentity) -> Reason:
    if code in _CODES:
        return _CODES[code]
    if status >= 500 or status == 429:
        return STS_SERVER_ERROR
    if code.isdigit() or not code or 300 <= status < 400:  # no error document
        return STS_NOT_ONE
    about_role = "role" in text.lower()
    if where.role_arn is None and (about_role or code in _PARAMETER - {"InvalidParameterValue"}):
        return ROLE_MISSING
    # Some servers deny access for every token that they cannot check, and name the cause in the text alone.
    if (code in _PARAMETER and not about_role) or "identity token" in text.lower():
        return TOKEN_NOT_ACCEPTED
    return WEB_IDENTITY_REFUSED


def _failed(entry: Reason, where: WebIdentity, *, answer: str, **values: object) -> StageError:
    kind = StorageOutage if entry.outcome is Outcome.STORAGE_OUTAGE else StorageRefused
    return kind(entry, sts=where.sts_endpoint, role=_role(where), answer=answer, **values)


def _role(where: WebIdentity) -> str:
    return f"role {where.role_arn}" if where.role_arn else "the token's own role"
