"""Ways in which one request to an S3 server goes wrong, for the proxy in flaky_s3.py.

Invariant: requests with a fault of `BEFORE` never reach the server; with any other fault, the server has done what was
asked before anything is lost.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from typing import Final

SLOW_BYTES_PER_SECOND: Final = 50_000
LATE_SECONDS: Final = 1.5
PIECE: Final = 5_000
ANSWERS: Final = {500: "InternalError", 503: "SlowDown"}


class Fault(StrEnum):
    """What happens to a request or its answer."""

    BUSY = "503"
    ERROR_BEFORE = "500 before the effect"
    ERROR_AFTER = "500 after the effect"
    RESET_BEFORE = "reset before the effect"
    RESET_IN_BODY = "reset within the request's body"
    RESET_AFTER = "reset after the effect"
    LOST_CONDITIONAL = "lost answer to a conditional PUT"
    TRUNCATED = "truncated answer"
    SLOW = "50 KB/s"
    LATE = "slow first byte"


BEFORE: Final = frozenset({Fault.BUSY, Fault.ERROR_BEFORE, Fault.RESET_BEFORE, Fault.RESET_IN_BODY})
STATUS: Final = {Fault.BUSY: 503, Fault.ERROR_BEFORE: 500, Fault.ERROR_AFTER: 500}
RESETS: Final = frozenset({Fault.RESET_BEFORE, Fault.RESET_IN_BODY, Fault.RESET_AFTER, Fault.LOST_CONDITIONAL})


@dataclass(frozen=True)
class Request:
    """A request as the proxy sees it before it reads the body; `number` counts all requests from 1.

    Names of `headers` have any case, as clients differ in it.
    """

    number: int
    command: str
    path: str
    headers: Message

    @property
    def body_bytes(self) -> int:
        """Length of the body."""
        return int(self.headers.get("Content-Length") or 0)

    def can_have(self, fault: Fault) -> bool:
        """Whether the fault means anything for such a request."""
        if fault is Fault.LOST_CONDITIONAL:
            return self.command == "PUT" and "If-None-Match" in self.headers
        if fault is Fault.RESET_IN_BODY:
            return self.body_bytes > 1
        return fault is not Fault.TRUNCATED or self.command == "GET"


def pieces(size: int) -> list[int]:
    """The sizes in which a slow connection passes this many bytes on."""
    return [min(PIECE, size - at) for at in range(0, size, PIECE)]


def seconds_for(piece: int) -> float:
    """How long a slow connection takes for this many bytes."""
    return piece / SLOW_BYTES_PER_SECOND


def error_page(status: int) -> bytes:
    """The body of S3's answer with this status."""
    code = ANSWERS[status]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>by chance</Message></Error>'.encode()
    )


def reset(connection: socket.socket) -> None:
    """Let the connection end with RST instead of FIN when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_reset(connection: socket.socket) -> bool:
    """Whether `reset` was called for the connection."""
    try:
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    except OSError:
        return False
