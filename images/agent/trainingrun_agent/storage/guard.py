"""Refuses connections to networks that hold no storage, whatever name an address comes from.

Invariant: while connections are refused, no socket of this process connects to one of the networks. The address of each
connection is checked, so a name that resolves to another address the second time gains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

Network = IPv4Network | IPv6Network


class AddressRefusedError(OSError):
    """A connection to a refused network was prevented; an OSError, so that clients clean up after it."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is in a network that is refused")
        self.address = address


class _Guard:
    """The one guard of this process: an audit hook cannot be removed, so its list of networks is changed instead."""

    def __init__(self) -> None:
        self.refused: tuple[Network, ...] = ()
        self.hooked = False

    def refuse(self, networks: Sequence[Network]) -> None:
        self.refused = tuple(networks)
        if networks and not self.hooked:
            sys.addaudithook(self.hook)
            self.hooked = True

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and self.refused and isinstance(arguments[1], tuple):
            self.check(str(arguments[1][0]))

    def check(self, text: str) -> None:
        refuse(text, self.refused)


def refuse(text: str, networks: Sequence[Network]) -> None:
    """Raise AddressRefusedError for an IP address in one of the networks, and for what is no IP address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:  # a name, whose address is unknown here
        raise AddressRefusedError(text) from None
    address = getattr(address, "ipv4_mapped", None) or address
    if any(address in network for network in networks):
        raise AddressRefusedError(str(address))


_guard = _Guard()


def refusal_behind(error: BaseException | None) -> AddressRefusedError | None:
    """The refusal that caused an error of a client, None for other causes."""
    while error is not None and not isinstance(error, AddressRefusedError):
        error = error.__cause__
    return error


@contextmanager
def refuse_connections(networks: Sequence[Network]) -> Iterator[None]:
    """Refuse connections of the whole process to these networks until the end of the block."""
    before = _guard.refused
    _guard.refuse(networks)
    try:
        yield
    finally:
        _guard.refuse(before)
