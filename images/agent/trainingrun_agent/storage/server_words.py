"""Texts of servers and of connections, made fit for a message.

Invariant: they are redacted before they are shortened.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, EndpointConnectionError, SSLError
from urllib3.exceptions import HTTPError  # boto3 needs urllib3

from trainingrun_agent.redaction import redact

MAX_QUOTE = 200
_TRANSIENT_TLS = ("EOF occurred", "timed out", "reset by peer", "Broken pipe")


def quote(text: str) -> str:
    """A text of a server: on one line, redacted, and shortened."""
    plain = " ".join(redact(text).split())
    return plain if len(plain) <= MAX_QUOTE else plain[: MAX_QUOTE - 1] + "…"


def is_transient_tls(error: SSLError) -> bool:
    """Whether an encrypted connection broke, rather than being refused."""
    return any(mark in str(error) for mark in _TRANSIENT_TLS)


def kind_of(error: BotoCoreError | HTTPError) -> str:
    """What happened to a connection, in words."""
    if isinstance(error, EndpointConnectionError):
        # The socket's own text, such as a failed DNS lookup, follows the name of the connection object.
        return quote(str(error.kwargs["error"]).partition("): ")[2] or str(error))
    return {
        "ConnectTimeoutError": "no connection in time",
        "ReadTimeoutError": "no answer in time",
        "ConnectionClosedError": "connection closed before an answer",
        "ResponseStreamingError": "connection broken while reading",
        "IncompleteReadError": "connection broken while reading",
        "ProtocolError": "connection broken while reading",
    }.get(type(error).__name__, f"{type(error).__name__}: {quote(str(error))}")
