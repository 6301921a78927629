"""Credentials without keys: the STS exchanges the token of the pod's ServiceAccount for some that expire.

One WebIdentityCredentials serves all clients and threads of a pod. botocore decides when they are renewed, and lets one
thread do it.

Invariant: the token goes to the STS of the spec and nowhere else, and is registered for redaction before. While the
credentials work, no failure of the STS is one of the pod.
"""

from __future__ import annotations

import copy
import logging
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from botocore.credentials import (
    AssumeRoleWithWebIdentityCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from trainingrun_agent import redaction
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, WebIdentity
from trainingrun_agent.errors import StageError, StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.access import TOKEN_UNUSABLE
from trainingrun_agent.storage.client import make_sts_client
from trainingrun_agent.storage.credentials import MountedCredentials, is_bare
from trainingrun_agent.storage.sts_failures import expired, explain, not_sts

MAX_TOKEN_BYTES: Final = 20_000
"""What the AWS API accepts."""
MAX_CREDENTIAL: Final = 32_000
"""Characters of a session token; servers refuse longer headers."""
RENEW_SECONDS: Final = 900.0
"""Credentials are renewed so long before they expire, or for the last quarter of a shorter life."""
ASK_AGAIN_SECONDS: Final = 60.0
"""After a failure the STS is asked again, while the credentials still work; and after S3 has refused them."""
SAME_FAILURE_SECONDS: Final = 1.0
"""Threads that waited for the answer of the STS get the failure of the one that asked."""
_SESSION_NAME: Final = re.compile(r"[^\w+=,.@-]", re.ASCII)
_REFUSED_BY_S3: Final = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",  # of servers that have forgotten it
    "InvalidToken",
    "InvalidTokenId",
    "TokenRefreshRequired",
}

# It logs each failure with a traceback; failures are explained, shown and logged once here and in retry.py.
logging.getLogger("botocore.credentials").setLevel(logging.ERROR)


def credentials_of(config: AgentConfig, *, clock: Clock | None = None) -> Credentials:
    """The credentials that the spec names; all clients of a pod share them."""
    identity = config.resolved.storage.web_identity
    if identity is None:
        return MountedCredentials(config.credentials_dir)
    return WebIdentityCredentials(config, identity, clock=clock or Clock())


class WebIdentityCredentials(DeferredRefreshableCredentials):
    """Credentials of AssumeRoleWithWebIdentity, asked for at first use and renewed before they expire.

    `get_frozen_credentials` raises StorageRefused or StorageOutage when there are none that work. Thread-safe.
    """

    _refresh_lock: threading.Lock  # botocore's own, which its types do not have

    def __init__(self, config: AgentConfig, identity: WebIdentity, *, clock: Clock) -> None:
        super().__init__(refresh_using=self._renew, method="web-identity", time_fetcher=clock.now)
        self._config, self._identity, self._clock = config, identity, clock
        self._mandatory_refresh_timeout = 0  # until they expire, they work: nobody waits for new ones
        self._client: Any = None
        self._current: dict[str, Any] = {}
        self._renewed_at = float("-inf")
        self._failure: StageError | None = None
        self._failed_at = float("-inf")

    def watch(self, events: Any) -> None:
        """Renew the credentials when a client of S3 hears that they no longer work, and repeat its request."""
        events.register("needs-retry.s3", self._retry_with_new)

    def _retry_with_new(
        self, response: tuple[Any, dict[str, Any]] | None, operation: Any, attempts: int, **_: Any
    ) -> float | None:
        """Botocore repeats and signs the request again after so many seconds; None: it does not."""
        code = "" if response is None else str(response[1].get("Error", {}).get("Code", ""))
        # An answer to HEAD has no error document: AWS answers 400.
        refused = code in _REFUSED_BY_S3 or (code == "400" and operation.name.startswith("Head"))
        if not refused or attempts > 1:
            return None
        with self._refresh_lock:
            if self._clock.monotonic() - self._renewed_at >= ASK_AGAIN_SECONDS:
                self._expiry_time = self._clock.now() - timedelta(seconds=1)
                self._current = {}
        return 0.0

    def _renew(self) -> dict[str, Any]:
        """Botocore's form of new credentials, or of those that still work; called by one thread at a time."""
        now = self._clock.monotonic()
        if self._failure is not None and now - self._failed_at < SAME_FAILURE_SECONDS:
            raise copy.copy(self._failure)
        try:
            found = self._asked()
        except StageError as failure:
            return self._kept(failure)
        self._failure, self._current, self._renewed_at = None, found, self._clock.monotonic()
        left = (_moment(found["expiry_time"]) - self._clock.now()).total_seconds()
        self._advisory_refresh_timeout = min(RENEW_SECONDS, left / 4)
        return found

    def _kept(self, failure: StageError) -> dict[str, Any]:
        left = (self._expiry_time - self._clock.now()).total_seconds() if self._current else 0.0
        if left <= 0:
            self._failure, self._failed_at = failure, self._clock.monotonic()
            raise failure
        logger.warning("the credentials, which work for %.0f s more, could not be renewed: %s", left, failure)
        self._advisory_refresh_timeout = max(0.0, left - ASK_AGAIN_SECONDS)
        return self._current

    def _asked(self) -> dict[str, Any]:
        """What the STS gives now. Raises StorageRefused or StorageOutage."""
        where = self._identity
        try:
            # A fetcher keeps what it got: a new one asks.
            found = AssumeRoleWithWebIdentityCredentialFetcher(
                self._sts,
                lambda: read_token(self._config.token_file),
                where.role_arn,  # type: ignore[arg-type] # None is left out, see make_sts_client
                extra_args={"RoleSessionName": session_name(self._config)},
            ).fetch_credentials()
            values = [str(found[name]) for name in ("access_key", "secret_key", "token")]
            moment = _moment(found["expiry_time"])
        except (BotoCoreError, ClientError) as error:
            raise explain(error, where, proxy=self._config.proxy) from error
        except (ResponseParserError, KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise not_sts(where, what=type(error).__name__, proxy=self._config.proxy) from error
        for value in values:
            if not value or len(value) > MAX_CREDENTIAL or not is_bare(value):
                raise not_sts(where, what="credentials that cannot be used")
            redaction.register(value)
        if moment <= self._clock.now():
            raise expired(where, moment)
        return {**found, "expiry_time": moment.isoformat()}

    def _sts(self, *_: Any, **__: Any) -> Any:
        """The client, made once: the fetcher asks for one, which would be one of AWS."""
        self._client = self._client or make_sts_client(self._config, self._identity)
        return self._client


def _moment(text: str) -> datetime:
    """A time, in UTC, that botocore gave as ISO 8601; one without a zone is in UTC, as AWS's are.

    Raises ValueError, and OverflowError for one that no calendar in UTC has.
    """
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def session_name(config: AgentConfig) -> str:
    """The name under which the STS and the log of storage know the pod: `namespace.run@` and the start of its UID."""
    run, pod = config.resolved.run, config.pod_uid[:13]
    return _SESSION_NAME.sub("-", f"{f'{run.namespace}.{run.name}'[:50]}@{pod}")


def read_token(path: Path) -> str:
    """The token of the ServiceAccount as it is now: the kubelet replaces it. Raises StorageRefused `TokenUnusable`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise StorageRefused(TOKEN_UNUSABLE, path=path, problem=f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_TOKEN_BYTES:
        raise StorageRefused(TOKEN_UNUSABLE, path=path, problem=f"is longer than {MAX_TOKEN_BYTES} bytes")
    token = data.decode("utf-8", "replace").strip()
    if not token:
        raise StorageRefused(TOKEN_UNUSABLE, path=path, problem="is empty")
    redaction.register(token)
    redaction.register(token.rpartition(".")[2])  # the signature: without it, the rest is no secret
    if not is_bare(token):
        raise StorageRefused(TOKEN_UNUSABLE, path=path, problem="is not one line of plain text")
    return token
