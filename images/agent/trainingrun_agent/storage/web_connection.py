"""An https connection to a host that users name, directly or through the proxy of the pod.

Invariant: a direct connection is made only to an address that was looked up and checked, so that a name cannot lead
elsewhere the second time. A proxy looks names up itself, so only hosts that are addresses are checked here.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from urllib3.util.ssltransport import SSLTransport  # boto3 needs urllib3

from trainingrun_agent.storage.guard import AddressRefusedError, Network, refuse

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0


class WebProxyError(OSError):
    """The proxy cannot be reached, or does not connect to the host; its text says so."""


class WebConnection(http.client.HTTPSConnection):
    """A connection to the host of an address; `refused` are networks that are never connected to."""

    def __init__(
        self, where: SplitResult, *, context: ssl.SSLContext, refused: Sequence[Network], proxy: str | None = None
    ) -> None:
        super().__init__(where.hostname or "", where.port or 443, timeout=READ_SECONDS, context=context)
        self._tls, self._refused, self._proxy = context, refused, proxy
        if proxy is not None:
            self.set_tunnel(self.host, self.port)

    def connect(self) -> None:
        """Connect to the host, or to the proxy and through it to the host. Raises OSError."""
        if self._proxy is None:
            self.sock = self._encrypted(_connected(self.host, self.port, self._refused), self.host)
        else:
            self._connect_through(self._proxy)
        self.sock.settimeout(READ_SECONDS)

    def _connect_through(self, proxy: str) -> None:
        where, host = urlsplit(proxy), self.host
        if _is_address(host):
            refuse(host, self._refused)
        try:
            plain = _connected(
                where.hostname or "", where.port or (443 if where.scheme == "https" else 80), self._refused
            )
            self.sock = self._encrypted(plain, where.hostname or "") if where.scheme == "https" else plain
            self.sock.settimeout(READ_SECONDS)
        except AddressRefusedError as error:
            raise WebProxyError(f"the proxy {proxy} leads to {error.address}, where no proxy can be") from error
        except OSError as error:
            raise WebProxyError(f"the proxy {proxy} cannot be reached: {error.strerror or error}") from error
        try:
            self._tunnel()  # type: ignore[attr-defined] # as http.client itself calls it after connecting
        except OSError as error:
            answer = str(error).removeprefix("Tunnel connection failed: ")
            raise WebProxyError(f"the proxy {proxy} does not connect to the host: {answer}") from error
        self.sock = self._encrypted(self.sock, host)

    def _encrypted(self, plain: Any, host: str) -> Any:
        try:
            if isinstance(plain, ssl.SSLSocket):  # TLS through TLS, which the standard library cannot do
                return SSLTransport(plain, self._tls, server_hostname=host)
            return self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


def _connected(host: str, port: int, refused: Sequence[Network]) -> socket.socket:
    """Look the host up, check all its addresses, connect to the first that answers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        refuse(str(address[0]), refused)
    last = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        plain = socket.socket(family, kind, protocol)
        plain.settimeout(CONNECT_SECONDS)
        try:
            plain.connect(address)
        except OSError as error:
            plain.close()
            last = error
            continue
        return plain
    raise last


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
