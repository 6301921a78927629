"""Answers that name another place for a bucket: another region, another host, or the bucket before the host.

Invariant: none is followed. What is shown of a place is scheme, host and port, nothing that the server may have hidden
behind them; and it is shown only if it is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from trainingrun_agent.reasons.entry import Reason
from trainingrun_agent.reasons.storage import ENDPOINT_NOT_S3, WRONG_REGION
from trainingrun_agent.reasons.storage_answers import BUCKET_IS_NEW, ENDPOINT_REDIRECTS, PATH_STYLE_REFUSED
from trainingrun_agent.redaction import redact
from trainingrun_agent.storage.error_answers import Answer
from trainingrun_agent.terms import Change

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_REGION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OF_AWS: Final = re.compile(r"(?:^|\.)s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$")
_EXPECTED: Final = re.compile(r"expecting '([A-Za-z0-9_-]{1,64})'")
_OF_REGIONS: Final = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_OTHER_ENDPOINT: Final = "addressed using the specified endpoint"
_MAX_LOCATION: Final = 4096


@dataclass(frozen=True)
class Place:
    """Scheme, host and port of a server, as an endpoint is written."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")


def elsewhere(
    answer: Answer, *, bucket: str, endpoint: str | None, addressing: str
) -> tuple[Reason, Mapping[str, object]] | None:
    """The reason of an answer that names another place, with the values of its own; None for any other answer."""
    redirects = 300 <= answer.status < 400
    names = redirects or answer.code in _OF_REGIONS or _OTHER_ENDPOINT in answer.text
    if not names and not (answer.status == 400 and not answer.is_s3 and answer.header("x-amz-bucket-region")):
        return None
    here, to = place_of(endpoint or ""), _named(answer, endpoint)
    if region := _region(answer, to):
        return WRONG_REGION, {"change_region": Change("storage.region", to=region)}
    if answer.code in ("TemporaryRedirect", "Redirect"):
        return BUCKET_IS_NEW, {}
    if to is None or to == here:
        return (WRONG_REGION if answer.is_s3 else ENDPOINT_NOT_S3, {}) if redirects else None
    if addressing == "path" and here is not None and to.host == f"{bucket}.{here.host}":
        return PATH_STYLE_REFUSED, {"change_addressing": Change("storage.addressing", to="virtual")}
    plain = Place(to.scheme, to.host.removeprefix(f"{bucket}."), to.port)
    if plain == here:  # the same place, for a page of its own
        return ENDPOINT_NOT_S3, {}
    return ENDPOINT_REDIRECTS, {
        "to": redact(str(to)),
        "change_endpoint": Change("storage.endpoint", to=redact(str(plain))),
    }


def place_of(url: str) -> Place | None:
    """Where a URL leads to; None for what is no http or https URL of a plain host."""
    try:
        parts = urlsplit(url[:_MAX_LOCATION])
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not (_HOST.fullmatch(host) or _is_ipv6(host)):
        return None
    return Place(parts.scheme, host, None if port == {"http": 80, "https": 443}[parts.scheme] else port)


def _named(answer: Answer, endpoint: str | None) -> Place | None:
    """The place that the answer names: in its header, or in its document, there often without a scheme."""
    if location := answer.header("location"):
        return place_of(location)
    named = answer.detail("Endpoint")
    if named and "://" not in named:
        named = f"{urlsplit(endpoint or 'https:').scheme}://{named}"
    return place_of(named)


def _region(answer: Answer, to: Place | None) -> str:
    """The region that the answer names, empty if it names none."""
    found = _EXPECTED.search(answer.text)
    of_aws = _OF_AWS.search(to.host) if to else None
    named = answer.header("x-amz-bucket-region") or (found[1] if found else "")
    if not named and answer.code in _OF_REGIONS:
        named = answer.detail("Region") or (of_aws[1] if of_aws else "")
    return named if _REGION.fullmatch(named) else ""


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False
