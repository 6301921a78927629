"""Which storage, proxy and STS the agents of a TrainingRun may connect to, and whose credentials they may use.

Invariant: a token of a ServiceAccount goes to an STS of the installer's list only, because whoever receives it can use
it. Every address that users can choose is refused if it is local, here as far as its text shows, and by the agent after
it has asked DNS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainingrun.api import reasons
from trainingrun.api.reason import Reason
from trainingrun.api.settings import Policy, Settings
from trainingrun.builders.proxy import NO_PROXY
from trainingrun.domain import endpoints
from trainingrun.domain.allow_lists import forbidden, matches
from trainingrun.domain.endpoints import REFUSED_NETWORKS
from trainingrun.domain.refusal import NotAcceptedError

_CREDENTIALS = "spec.storage.credentials"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of address: the field that has it, the Helm value that allows it, and how a bad one is refused."""

    field: str
    setting: str
    noun: str
    invalid: Reason
    local: Reason


_ENDPOINT = _Kind(
    "spec.storage.endpoint",
    "policy.endpoints",
    "storage",
    reasons.INVALID_ENDPOINT,
    reasons.FORBIDDEN_LOCAL_ADDRESS,
)
_PROXY = _Kind("spec.storage.proxy", "policy.proxies", "a proxy", reasons.INVALID_PROXY, reasons.FORBIDDEN_LOCAL_PROXY)
_STS = _Kind(
    f"{_CREDENTIALS}.stsEndpoint",
    "policy.stsEndpoints",
    "an STS",
    reasons.INVALID_STS_ENDPOINT,
    reasons.FORBIDDEN_LOCAL_STS,
)


def check_storage(storage: Mapping[str, Any], *, settings: Settings) -> tuple[str, ...]:
    """Return networks that the run's agents must not connect to; raises NotAcceptedError naming field and Helm value.

    These are all refused networks as soon as users can choose one of the hosts: the agent has one list for all.
    """
    policy = settings.policy
    _check_identity(storage["credentials"], policy=policy)
    exact = [
        _check_endpoint(storage, allowed=policy.endpoints),
        _check_proxy(storage, settings=settings),
        _check_sts(storage, allowed=policy.sts_endpoints),
    ]
    return () if all(exact) else REFUSED_NETWORKS


def sts_endpoint(storage: Mapping[str, Any]) -> str:
    """Return the address of the STS: the one that is set, else the storage itself, which for AWS is that of its region.

    Servers other than AWS answer AssumeRoleWithWebIdentity at the address of their storage.
    """
    asked = storage["credentials"].get("stsEndpoint") or storage.get("endpoint")
    return str(asked or f"https://sts.{storage.get('region', 'us-east-1')}.amazonaws.com")


def _check_identity(credentials: Mapping[str, Any], *, policy: Policy) -> None:
    account, secret = credentials.get("serviceAccountName"), credentials.get("secretName")
    if account and not matches(account, policy.service_accounts):
        field = f"{_CREDENTIALS}.serviceAccountName"
        raise forbidden(field, repr(account), setting="policy.serviceAccounts", allowed=policy.service_accounts)
    if (secret or not account) and not matches(secret or "", policy.secret_names):
        field = f"{_CREDENTIALS}.secretName"
        raise forbidden(field, repr(secret), setting="policy.secretNames", allowed=policy.secret_names)


def _check_endpoint(storage: Mapping[str, Any], *, allowed: tuple[str, ...]) -> bool:
    text = storage.get("endpoint") or f"https://s3.{storage.get('region', 'us-east-1')}.amazonaws.com"
    return _check_address(_ENDPOINT, text, allowed=allowed, default="" if "endpoint" in storage else "AWS")


def _check_proxy(storage: Mapping[str, Any], *, settings: Settings) -> bool:
    """Check a proxy of the run's own. The installer's is trusted: it is not fixed in the document, and may change."""
    text, theirs = storage.get("proxy"), settings.storage_access.proxy
    if not text or text == NO_PROXY:
        return True
    return _check_address(_PROXY, text, allowed=(*settings.policy.proxies, *([theirs] if theirs else ())))


def _check_sts(storage: Mapping[str, Any], *, allowed: tuple[str, ...]) -> bool:
    if not storage["credentials"].get("serviceAccountName"):
        return True
    default = "storage.endpoint" if "endpoint" in storage else "AWS"
    said = "stsEndpoint" in storage["credentials"]
    return _check_address(_STS, sts_endpoint(storage), allowed=allowed, default="" if said else default)


def _check_address(kind: _Kind, text: str, *, allowed: tuple[str, ...], default: str = "") -> bool:
    """Check one address; return whether the installer allows its host by name, so that it may be in any network.

    `default` says where an address is from that the spec leaves out.
    """
    try:
        endpoint = endpoints.parse(text)
    except ValueError as error:
        raise NotAcceptedError(kind.invalid, f"{kind.field}: {text!r} {error}.") from error
    covering = [pattern for pattern in allowed if endpoints.allows(pattern, endpoint)]
    if not covering:
        shown = f"{text} (the default, {default})" if default else repr(text)
        raise forbidden(kind.field, shown, setting=kind.setting, allowed=allowed)
    if any(endpoints.is_exact(pattern) for pattern in covering):
        return True
    if endpoint.local:
        what = f"is the pod itself, its node or the metadata service of its cloud, not {kind.noun}"
        raise NotAcceptedError(kind.local, f"{kind.field}: {text!r} {what}.")
    return False
