"""The table of S3 error codes, of AWS and of servers that speak S3: which reason each is.

Invariant: a code that is not here, and an answer that has none, is judged by its HTTP status. A code that says little,
such as AccessDenied, is judged by its text where that has evidence of more.
"""

from __future__ import annotations

import re
from typing import Final

from trainingrun_agent.reasons.entry import Reason
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    BUCKET_NOT_FOUND,
    CLOCK_SKEW,
    ENDPOINT_NOT_S3,
    INVALID_CREDENTIALS,
    OBJECT_NOT_FOUND,
    REQUEST_REFUSED,
    SERVER_ERROR,
    WRONG_REGION,
)
from trainingrun_agent.reasons.storage_answers import (
    ACCOUNT_UNUSABLE,
    CHANGED_ON_THE_WAY,
    ENCRYPTION_DEMANDED,
    ENCRYPTION_NOT_OFFERED,
    KEY_OF_OBJECT_UNUSABLE,
    KEY_OF_WRITER_UNKNOWN,
    KEY_REFUSED,
    KEY_UNUSABLE,
    LENGTH_MISSING,
    LIMIT_REACHED,
    OBJECT_ARCHIVED,
    PATH_STYLE_REFUSED,
    PROXY_FINDS_NO_SERVER,
    STORAGE_FULL,
    TOO_LARGE_TO_SEND,
    UNKNOWN_PROXY_REFUSED,
)
from trainingrun_agent.storage.error_answers import Answer

_BY_REASON: Final[tuple[tuple[Reason, str], ...]] = (
    (BUCKET_NOT_FOUND, "NoSuchBucket InvalidBucketName"),
    (OBJECT_NOT_FOUND, "NoSuchKey NoSuchVersion"),
    (
        INVALID_CREDENTIALS,
        (
            "InvalidAccessKeyId SignatureDoesNotMatch InvalidToken InvalidTokenId ExpiredToken ExpiredTokenException"
            " TokenRefreshRequired InvalidSecurity InvalidClientTokenId UnrecognizedClientException Unauthorized"
        ),
    ),
    (ACCESS_DENIED, "AccessDenied AccessForbidden Forbidden AccessDeniedException UnauthorizedAccess"),
    (
        ACCOUNT_UNUSABLE,
        (
            "AllAccessDisabled AccountProblem UserSuspended UserDisable NotSignedUp UserProjectAccountProblem"
            " InvalidPayer InArrearOrInsufficientBalance"
        ),
    ),
    (CLOCK_SKEW, "RequestTimeTooSkewed RequestExpired"),
    (
        WRONG_REGION,
        (
            "PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException InvalidRegion"
            " InvalidRegionName"
        ),
    ),
    (
        PATH_STYLE_REFUSED,
        "SecondLevelDomainForbidden PathStyleDomainForbidden VirtualHostDomainRequired InvalidPathAccess",
    ),
    (
        STORAGE_FULL,
        (
            "QuotaExceeded QuotaExceededException XMinioStorageFull XMinioAdminBucketQuotaExceeded InsufficientStorage"
            " InsufficientStorageSpace StorageFull storage_cap_exceeded TooManyBuckets"
        ),
    ),
    (LIMIT_REACHED, "cap_exceeded download_cap_exceeded transaction_cap_exceeded"),
    (OBJECT_ARCHIVED, "InvalidObjectState"),
    (
        ENCRYPTION_NOT_OFFERED,
        (
            "InvalidEncryptionAlgorithmError InvalidEncryptionMethod InvalidEncryptionAlgorithm"
            " ServerSideEncryptionConfigurationNotFoundError"
        ),
    ),
    (
        SERVER_ERROR,
        (
            "RequestTimeout RequestTimeoutException SlowDown SlowDownRead SlowDownWrite TooManyRequests"
            " TooManyRequestsException Throttling ThrottlingException ThrottledException RequestThrottled"
            " RequestThrottledException RequestLimitExceeded BandwidthLimitExceeded PriorRequestNotComplete Busy"
            " ServiceUnavailable OperationAborted ConditionalRequestConflict ClientDisconnected"
            # Parts of an upload that a rule of the bucket has removed meanwhile: the upload begins again.
            " NoSuchUpload InvalidPart"
        ),
    ),
    (
        CHANGED_ON_THE_WAY,
        "BadDigest IncompleteBody InvalidDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch",
    ),
    (TOO_LARGE_TO_SEND, "EntityTooLarge MaxMessageLengthExceeded"),
    (LENGTH_MISSING, "MissingContentLength"),
    (
        KEY_REFUSED,
        (
            "KeyTooLongError KeyTooLong InvalidObjectName XMinioInvalidObjectName InvalidURI XMinioParentIsObject"
            " XMinioObjectExistsAsDirectory ExistingObjectIsDirectory ExistingObjectIsFile"
        ),
    ),
    (REQUEST_REFUSED, "NotImplemented MethodNotAllowed InvalidStorageClass EntityTooSmall"),
)
CODES: Final = {code: entry for entry, codes in _BY_REASON for code in codes.split()}
STATUSES: Final = {
    401: INVALID_CREDENTIALS,
    403: ACCESS_DENIED,
    407: UNKNOWN_PROXY_REFUSED,
    408: SERVER_ERROR,
    411: LENGTH_MISSING,
    413: TOO_LARGE_TO_SEND,
    425: SERVER_ERROR,
    429: SERVER_ERROR,
    499: SERVER_ERROR,
    501: REQUEST_REFUSED,  # "not implemented": waiting does not help
    507: STORAGE_FULL,
    511: UNKNOWN_PROXY_REFUSED,
}
"""For answers without a code of the table; any other 5xx is SERVER_ERROR."""

_FULL = re.compile(r"storage cap exceeded|quota|insufficient storage|no space left|disk (is )?full", re.IGNORECASE)
_CAP = re.compile(r"cap (is |has been )?exceeded|cap_exceeded", re.IGNORECASE)
_KEY = re.compile(r"\bkms[:.]|\bkms key", re.IGNORECASE)
_ENCRYPTION = re.compile(r"server.?side.?encryption|encrypt|\bsse\b|\bkms\b", re.IGNORECASE)
_DENY = re.compile(r"explicit deny in a (resource|bucket)|bucket policy", re.IGNORECASE)
_ACCESS_KEY = re.compile(r"access key|\bAKID\b|credential is mal", re.IGNORECASE)
_VAGUE = (
    "NotImplemented",
    "InvalidArgument",
    "InvalidRequest",
    "MethodNotAllowed",
    "NotSupported",
    "UnsupportedOperation",
)


def reason_of(answer: Answer) -> Reason:
    """The reason that an answer is, whatever it redirects to (redirects.py)."""
    if answer.status in (407, 511):
        return UNKNOWN_PROXY_REFUSED
    if answer.code.lower().startswith("kms"):
        return _of_key_service(answer)
    entry = _by_text(answer) or CODES.get(answer.code) or _by_status(answer)
    if entry is KEY_REFUSED and not answer.is_write:
        return REQUEST_REFUSED
    return entry


def _by_text(answer: Answer) -> Reason | None:
    """What the text says of a code that says little, or of a server that has no better one."""
    if CODES.get(answer.code) is ACCESS_DENIED:
        return _denied(answer)
    if answer.code == "AuthorizationHeaderMalformed" and _ACCESS_KEY.search(answer.text):
        return None if "region" in answer.text else INVALID_CREDENTIALS
    if answer.code in _VAGUE and _ENCRYPTION.search(f"{answer.text} {answer.detail('ArgumentName')}"):
        return ENCRYPTION_NOT_OFFERED if answer.is_write else KEY_OF_WRITER_UNKNOWN
    return None


def _denied(answer: Answer) -> Reason | None:
    if _FULL.search(answer.text):
        return STORAGE_FULL
    if _CAP.search(answer.text):
        return LIMIT_REACHED
    if _KEY.search(answer.text):
        return _of_key_service(answer)
    if answer.is_write and (_ENCRYPTION.search(answer.text) or _DENY.search(answer.text)):
        return ENCRYPTION_DEMANDED
    return None


def _of_key_service(answer: Answer) -> Reason:
    if answer.status >= 500 or "throttl" in answer.code.lower():
        return SERVER_ERROR
    return KEY_UNUSABLE if answer.is_write else KEY_OF_OBJECT_UNUSABLE


def _by_status(answer: Answer) -> Reason:
    status = answer.status
    if status == 404 and answer.call in ("HeadObject", "GetObject"):
        return OBJECT_NOT_FOUND
    if not answer.is_s3 and status in (400, 404, 405, 501) and answer.call != "HeadObject":
        return ENDPOINT_NOT_S3
    if answer.by_proxy and status in (403, 502, 503, 504):
        return UNKNOWN_PROXY_REFUSED if status == 403 else PROXY_FINDS_NO_SERVER
    return STATUSES.get(status, SERVER_ERROR if status >= 500 else REQUEST_REFUSED)
