"""How a pod reaches its bucket, as far as it changes what an error means: a role, encryption, a proxy.

Invariant: a case has the name of the reason that it replaces, unless the proxy or the encryption itself is the reason.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Final, Self

from botocore.exceptions import ProxyConnectionError
from urllib3.exceptions import SSLError  # boto3 needs urllib3

from trainingrun_agent.config import AgentConfig, Encryption
from trainingrun_agent.errors import StageError, StorageOutage, StorageRefused
from trainingrun_agent.reasons.access import (
    ENCRYPTION_REFUSED,
    PROXY_ADDRESS_REFUSED,
    PROXY_GATEWAY_ERROR,
    PROXY_NOT_S3,
    PROXY_REFUSED,
    PROXY_TLS_ERROR,
    PROXY_UNREACHABLE,
    ROLE_CREDENTIALS_REFUSED,
    ROLE_DENIED,
    ROLE_WRITE_DENIED,
    WRITE_DENIED,
)
from trainingrun_agent.reasons.entry import Outcome, Reason
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    ENDPOINT_NOT_S3,
    INVALID_CREDENTIALS,
    REQUEST_REFUSED,
    SERVER_ERROR,
)
from trainingrun_agent.reasons.storage_answers import (
    ACCOUNT_UNUSABLE,
    ASKED_ENCRYPTION_NOT_OFFERED,
    ASKED_KEY_UNUSABLE,
    ENCRYPTION_DEMANDED,
    ENCRYPTION_NOT_OFFERED,
    KEY_UNUSABLE,
    OTHER_ENCRYPTION_DEMANDED,
    ROLE_ACCOUNT_UNUSABLE,
    UNKNOWN_PROXY_REFUSED,
)
from trainingrun_agent.storage.error_answers import Answer
from trainingrun_agent.storage.guard import refusal_behind
from trainingrun_agent.storage.server_words import quote
from trainingrun_agent.terms import Text

_ENCRYPTION_WORDS: Final = re.compile(r"\bkms\b|encrypt", re.IGNORECASE)
_ASKED: Final = {
    KEY_UNUSABLE: ASKED_KEY_UNUSABLE,
    ENCRYPTION_NOT_OFFERED: ASKED_ENCRYPTION_NOT_OFFERED,
    ENCRYPTION_DEMANDED: OTHER_ENCRYPTION_DEMANDED,
}
"""What a refusal of a write means for a run that asks for encryption."""
_OF_ROLE: Final = {INVALID_CREDENTIALS: ROLE_CREDENTIALS_REFUSED, ACCOUNT_UNUSABLE: ROLE_ACCOUNT_UNUSABLE}
_TUNNEL: Final = re.compile(r"Tunnel connection failed: (?P<answer>(?P<status>\d{3}).*)", re.DOTALL)


@dataclass(frozen=True)
class Access:
    """What is between the pod and the bucket; the default is nothing, and an access key."""

    web_identity: bool = False
    encryption: Encryption | None = None
    proxy: str | None = None

    @classmethod
    def of(cls, config: AgentConfig) -> Self:
        """The access of a pod."""
        storage = config.resolved.storage
        return cls(storage.web_identity is not None, storage.encryption, config.proxy)

    @property
    def values(self) -> dict[str, object]:
        """For the templates of reasons."""
        encryption = self.encryption
        key = f" and key {encryption.kms_key_id}" if encryption and encryption.kms_key_id else ""
        return {"proxy": self.proxy, "encryption": f"{encryption.type}{key}" if encryption else None}

    def case(self, entry: Reason, answer: Answer) -> Reason:
        """The reason that an answer of a server has with this access, from the one that it has without."""
        if self.proxy and entry is UNKNOWN_PROXY_REFUSED:
            return PROXY_REFUSED
        if self.proxy and not answer.is_s3 and not answer.call.startswith("Head"):
            return self._by_proxy(entry)
        if self.encryption is not None and answer.is_write:
            entry = self._asked(entry, answer)
        if entry is ACCESS_DENIED:
            return self._denied(wants_encryption=answer.is_write and self.encryption is None)
        return _OF_ROLE.get(entry, entry) if self.web_identity else entry

    def _by_proxy(self, entry: Reason) -> Reason:
        """Of an answer without a document of S3."""
        if entry.name == SERVER_ERROR.name:
            return PROXY_GATEWAY_ERROR
        return (
            PROXY_NOT_S3 if entry in (ACCESS_DENIED, ENDPOINT_NOT_S3, INVALID_CREDENTIALS, REQUEST_REFUSED) else entry
        )

    def _asked(self, entry: Reason, answer: Answer) -> Reason:
        """Of an answer to a write that asked for encryption."""
        if entry in _ASKED:
            return _ASKED[entry]
        if answer.status == 501:
            return ASKED_ENCRYPTION_NOT_OFFERED
        words = _ENCRYPTION_WORDS.search(f"{answer.code} {answer.text}")
        return ENCRYPTION_REFUSED if words and entry in (ACCESS_DENIED, REQUEST_REFUSED) else entry

    def _denied(self, *, wants_encryption: bool) -> Reason:
        if self.web_identity:
            return ROLE_WRITE_DENIED if wants_encryption else ROLE_DENIED
        return WRITE_DENIED if wants_encryption else ACCESS_DENIED


DIRECT: Final = Access()


def proxy_failure(error: ProxyConnectionError, *, what: Text) -> StageError:
    """The StageError for a connection to the proxy that failed, or that the proxy refused to make."""
    proxy = str(error.kwargs["proxy_url"])
    cause = getattr(error.kwargs["error"], "original_error", None) or error.kwargs["error"]
    refusal = refusal_behind(cause)
    if refusal is not None:
        return StorageRefused(PROXY_ADDRESS_REFUSED, proxy=proxy, address=refusal.address)
    entry, answer = _cause(cause)
    kind = StorageOutage if entry.outcome is Outcome.STORAGE_OUTAGE else StorageRefused
    return kind(entry, what=what, proxy=proxy, answer=quote(answer))


def _cause(cause: BaseException) -> tuple[Reason, str]:
    tunnel = _TUNNEL.search(str(cause))
    if tunnel:
        return (PROXY_GATEWAY_ERROR if tunnel["status"][0] == "5" else PROXY_REFUSED), tunnel["answer"]
    if isinstance(cause, ssl.SSLError | SSLError):
        return PROXY_TLS_ERROR, str(cause)
    # The socket's own text follows the name of the connection object.
    return PROXY_UNREACHABLE, str(cause).partition("): ")[2] or str(cause) or type(cause).__name__
