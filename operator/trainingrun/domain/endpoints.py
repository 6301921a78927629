"""Addresses of storage: parsed strictly, matched with the installer's patterns part by part, local ones recognised.

Invariant: all spellings of an address are one address, and every text but `http(s)://host[:port]` is refused, so that
a pattern never matches a text that a client would read as another address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

# Networks of the pod itself, its node and its cloud's metadata. Agents refuse them too, after they have asked DNS.
REFUSED_NETWORKS: Final = (
    "0.0.0.0/8",  # this host
    "127.0.0.0/8",
    "::/96",  # this host and loopback, also written as the last part of an IPv6 address
    "169.254.0.0/16",  # link-local: the metadata of most clouds
    "fe80::/10",
    "64:ff9b::a9fe:0/112",  # link-local behind NAT64
    "fd00:ec2::/32",  # Amazon
    "fd20:ce::254/128",  # Google
    "168.63.129.16/32",  # Azure
    "100.100.100.200/32",  # Alibaba
    "192.0.0.192/32",  # Oracle
)
_NETWORKS: Final = tuple(ip_network(text) for text in REFUSED_NETWORKS)
_REFUSED_NAMES: Final = ("localhost", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = "[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?"
_ENDPOINT: Final = re.compile(
    rf"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*)\.?)(?::([0-9]{{1,5}}))?", re.ASCII | re.IGNORECASE
)
_PATTERN: Final = re.compile(r"(\*|https?)://(?:\[([0-9A-Fa-f:]+)\]|([-A-Za-z0-9.*]+))(?::([0-9]{1,5}|\*))?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address; `host` is a name in lower case, or the canonical spelling of `address`."""

    scheme: str
    host: str
    port: int
    address: Address | None

    @property
    def local(self) -> bool:
        """Whether the address leads to the pod itself, its node or its cloud's metadata, as far as the text shows."""
        if self.address is not None:
            return any(self.address in network for network in _NETWORKS)
        return any(self.host == name or self.host.endswith(f".{name}") for name in _REFUSED_NAMES)


def parse(text: str) -> Endpoint:
    """Parse `http(s)://host[:port]`; raises ValueError with what the text has or is not, to follow the text."""
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        raise ValueError("is not http://host[:port] or https://host[:port]")
    scheme = found[1].lower()
    port = int(found[4]) if found[4] else _DEFAULT_PORTS[scheme]
    if not 0 < port < 65536:
        raise ValueError("has a port that is not one of 1 to 65535")
    address = _address(found[2], name=found[3])
    return Endpoint(scheme, str(address) if address else found[3].lower(), port, address)


def allows(pattern: str, endpoint: Endpoint) -> bool:
    """Return whether a pattern of the installer matches the endpoint; a malformed pattern matches nothing."""
    if pattern == "*":
        return True
    found = _PATTERN.fullmatch(pattern)
    if found is None or found[1] not in {"*", endpoint.scheme}:
        return False
    host = endpoint.address == _parse_ip(found[2]) if found[2] else _host_matches(found[3].lower(), endpoint)
    port = found[4] or ("*" if found[3] == "*" else str(_DEFAULT_PORTS[endpoint.scheme]))
    return host and port in {"*", str(endpoint.port)}


def is_exact(pattern: str) -> bool:
    """Return whether a pattern names one host, without a wildcard that lets users choose the host."""
    found = _PATTERN.fullmatch(pattern)
    return found is not None and "*" not in (found[2] or found[3])


def _address(bracketed: str | None, *, name: str) -> Address | None:
    """Return the IP address, None for a name. Clients read a host that ends in a number as an address."""
    if bracketed is None and not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return None
    address = _parse_ip(bracketed or name)
    if address is None:
        raise ValueError("has no IP address in its usual form, such as 10.0.0.1 or [fd00::1]")
    return address


def _parse_ip(text: str) -> Address | None:
    """Parse an IP address, unwrapping IPv4-mapped IPv6; None if it is not an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _host_matches(pattern: str, endpoint: Endpoint) -> bool:
    """Match a host by its parts between dots: `*` stays within a part; `*.` in front stands for one or more parts."""
    if pattern == "*":
        return True
    if re.fullmatch(r"[0-9.*]*[0-9][0-9.*]*", pattern) and endpoint.address is None:
        return False  # 10.0.0.* means addresses, not the name 10.0.0.example
    any_subdomain = r"(?:[^.]+\.)+" if pattern.startswith("*.") else ""
    parts = (re.escape(part).replace(r"\*", "[^.]*") for part in pattern.removeprefix("*.").split("."))
    return re.fullmatch(any_subdomain + r"\.".join(parts), endpoint.host) is not None
