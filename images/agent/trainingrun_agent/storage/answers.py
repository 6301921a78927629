"""What an answer of a server says, beyond the reason that it gets as an error (failures.py)."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

_LOCK_WORDS: Final = ("object lock", "objectlock", "worm protected", "retention period", "legal hold")
_BAD_TOKEN: Final = ("InvalidToken", "InvalidArgument", "InvalidContinuationToken")
_ASKS_FOR_CHECKSUM: Final = ("content-md5", "contentmd5", "x-amz-checksum")
_CHECKSUM_WRONG: Final = ("BadDigest", "InvalidDigest")  # S3's text for these names Content-MD5, whatever was sent


def status_of(error: ClientError) -> int:
    """The HTTP status of an answer that is an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def asks_for_checksum(error: ClientError) -> bool:
    """Whether the server refuses the request because it has no checksum."""
    if status_of(error) != 400 or error.response.get("Error", {}).get("Code") in _CHECKSUM_WRONG:
        return False
    return any(name in _text(error) for name in _ASKS_FOR_CHECKSUM)


def refuses_token(error: ClientError) -> bool:
    """Whether a server does not know the token of its own listing. Credentials have a token too: ask without it."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return status_of(error) == 400 and (code in _BAD_TOKEN or "continuation" in _text(error))


def is_missing(error: ClientError) -> bool:
    """Whether a deletion failed because there is no such object, which is no failure in S3."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return status_of(error) == 404 and code.startswith("NoSuch") and code != "NoSuchBucket"


def names_lock(error: ClientError) -> bool:
    """Whether the answer to a deletion says that the object must be kept."""
    return 400 <= status_of(error) < 500 and any(word in _text(error) for word in _LOCK_WORDS)


def shows_lock(head: dict[str, Any]) -> bool:
    """Whether the answer to HeadObject shows a retention or a legal hold."""
    return "ObjectLockMode" in head or head.get("ObjectLockLegalHoldStatus") == "ON"


def _text(error: ClientError) -> str:
    found = error.response.get("Error", {})
    return f"{found.get('Code', '')} {found.get('Message', '')}".lower()
