"""Which HTTP proxy the agents of a run use: the run's own, or else the installer's, unless the host needs none."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from trainingrun.api.settings import StorageAccess

NO_PROXY: Final = "none"  # in spec.storage.proxy


def proxy_of(storage: Mapping[str, Any], access: StorageAccess) -> str:
    """Return the address of the proxy for every request to storage and STS; empty: none."""
    return _proxy_for(_host(storage), storage, access)


def web_proxy_of(spec: Mapping[str, Any], access: StorageAccess) -> str:
    """Return the address of the proxy for weights at an https address; empty: none, or no such weights."""
    uri = str(spec.get("model", {}).get("pretrained", {}).get("uri", ""))
    if not uri.lower().startswith("https:"):
        return ""
    return _proxy_for((urlsplit(uri).hostname or "").rstrip("."), spec["storage"], access)


def _proxy_for(host: str, storage: Mapping[str, Any], access: StorageAccess) -> str:
    asked = storage.get("proxy")
    if asked:
        return "" if asked == NO_PROXY else str(asked)
    return "" if any(_covers(entry, host) for entry in access.no_proxy) else access.proxy


def _host(storage: Mapping[str, Any]) -> str:
    endpoint = storage.get("endpoint")
    if not endpoint:
        return f"s3.{storage.get('region', 'us-east-1')}.amazonaws.com".lower()
    return (urlsplit(endpoint).hostname or "").rstrip(".")


def _covers(entry: str, host: str) -> bool:
    """Return whether an entry means the host: itself or a domain above it, its address or network, or `*` for all."""
    if entry == "*":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        name = entry.lower().removeprefix("*").removeprefix(".").rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
