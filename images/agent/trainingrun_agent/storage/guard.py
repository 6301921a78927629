"""Keeps the agent's connections out of networks where no storage is, whatever a name resolves to.

Invariant: while the guard is up, no socket of this process connects to a refused network. It looks at the address of
each connection itself, so a name that resolves to something else the second time gains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

Network = IPv4Network | IPv6Network


class AddressRefusedError(OSError):
    """A connection was about to leave for a refused network; an OSError, so that clients clean up after it."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is in a network that is refused")
        self.address = address


class _Guard:
    """The one of this process: an audit hook cannot be taken out again, so it is told what to refuse instead."""

    def __init__(self) -> None:
        self.refused: tuple[Network, ...] = ()
        self.hooked = False

    def up(self, networks: Sequence[Network]) -> None:
        self.refused = tuple(networks)
        if networks and not self.hooked:
            sys.addaudithook(self.hook)
            self.hooked = True

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and self.refused and isinstance(arguments[1], tuple):
            self.judge(str(arguments[1][0]))

    def judge(self, text: str) -> None:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:  # a name: nobody could say where it leads
            raise AddressRefusedError(text) from None
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in self.refused):
            raise AddressRefusedError(str(address))


_guard = _Guard()


def refusal_behind(error: BaseException | None) -> AddressRefusedError | None:
    """The refusal that an error of a client was raised for, if it was."""
    while error is not None and not isinstance(error, AddressRefusedError):
        error = error.__cause__
    return error


@contextmanager
def against(networks: Sequence[Network]) -> Iterator[None]:
    """Refuse connections to these networks in the whole process until the end of the block."""
    before = _guard.refused
    _guard.up(networks)
    try:
        yield
    finally:
        _guard.up(before)
