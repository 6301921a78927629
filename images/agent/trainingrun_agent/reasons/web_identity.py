"""Reasons of credentials without keys: the STS refuses a token, does not answer, or gives what storage refuses.

Invariant: as in storage.py, every entry has the outcome of the class that raises it (errors.py).
"""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    ADDRESS_REFUSED,
    ENDPOINT_UNREACHABLE,
    INVALID_CREDENTIALS,
    SERVER_ERROR,
    TLS_ERROR,
)

_STS = "AssumeRoleWithWebIdentity at {sts} for {role} failed"

TOKEN_UNUSABLE = Reason(
    "TokenUnusable",
    Outcome.STORAGE_REFUSED,
    Step.PLATFORM,
    message="the token of the ServiceAccount in {path} {problem}",
    hint="The kubelet writes this file for the pod's volume credentials: look at the pod's events and at the kubelet's"
    " log, then {retry}.",
    meaning="The token of the ServiceAccount, which is exchanged for credentials, is not mounted in the pod, or is not"
    " one.",
    fields=("storage.credentials.serviceAccountName",),
)
WEB_IDENTITY_REFUSED = Reason(
    "WebIdentityRefused",
    Outcome.STORAGE_REFUSED,
    Step.RETRY,
    message=_STS + ": {answer}",
    hint="Let the role trust the ServiceAccount of {field[storage.credentials.serviceAccountName]} in this namespace,"
    " then {retry}. If it is the wrong role, {change[storage.credentials.roleARN]}.",
    meaning="The STS does not exchange the token of the ServiceAccount for credentials of storage.",
    fields=(
        "storage.credentials.roleARN",
        "storage.credentials.serviceAccountName",
        "storage.credentials.stsEndpoint",
    ),
)
ROLE_MISSING = WEB_IDENTITY_REFUSED.case(
    hint="This STS needs to be told a role: {change[storage.credentials.roleARN]}.",
    step=Step.NEW_RUN,
    fields=("storage.credentials.roleARN",),
)
TOKEN_NOT_ACCEPTED = WEB_IDENTITY_REFUSED.case(
    hint="Make this cluster's issuer of ServiceAccount tokens, and their audience (Helm value runs.tokenAudience),"
    " known to the STS; check that it can read the issuer's keys. Then {retry}.",
    step=Step.PLATFORM,
    fields=("storage.credentials.stsEndpoint", "storage.credentials.serviceAccountName"),
)
TOKEN_EXPIRED = WEB_IDENTITY_REFUSED.case(
    hint="The kubelet renews the token long before it expires: set the clocks of the STS and of the node (NTP), then"
    " {retry}.",
    step=Step.PLATFORM,
    fields=("storage.credentials.stsEndpoint",),
)
CREDENTIALS_EXPIRED = TOKEN_EXPIRED.case(
    message=_STS + ": it gave credentials that expired at {moment} by the clock of {here}",
    hint="Set the clocks of the STS and of the node (NTP), then {retry}.",
)
STS_NOT_ONE = WEB_IDENTITY_REFUSED.case(
    message=_STS + ": the answer is not that of an STS ({answer})",
    hint="Check http or https, host, port and path of {field[storage.credentials.stsEndpoint]}; to correct it,"
    " {change[storage.credentials.stsEndpoint]}.",
    step=Step.NEW_RUN,
    fields=("storage.credentials.stsEndpoint",),
)
STS_UNUSABLE = STS_NOT_ONE.case(
    message="{field[storage.credentials.stsEndpoint]} {sts!r} cannot be used: {problem}",
    hint="Write it as http://host:port or https://host:port: {change[storage.credentials.stsEndpoint]}.",
)
STS_ADDRESS_REFUSED = ADDRESS_REFUSED.case(
    message="{field[storage.credentials.stsEndpoint]}: {sts} leads to {address}, which is the pod itself, its node or"
    " the metadata service of its cloud, not an STS",
    hint="If the endpoint is wrong, {change[storage.credentials.stsEndpoint]}; if its DNS entry is, correct that and"
    " {retry}.",
    fields=("storage.credentials.stsEndpoint",),
)
STS_TLS_ERROR = TLS_ERROR.case(
    message=_STS + ": {answer}",
    hint="Check http or https in {field[storage.credentials.stsEndpoint]}. For a private CA,"
    " {change[storage.caBundle]}. If the STS's certificate has expired, renew it and {retry}.",
    fields=("storage.caBundle", "storage.credentials.stsEndpoint"),
)
STS_UNREACHABLE = ENDPOINT_UNREACHABLE.case(
    message=_STS + ": {answer}",
    hint="Check that {field[storage.credentials.stsEndpoint]} is right and reachable from {here}.",
    fields=("storage.credentials.stsEndpoint",),
)
STS_SERVER_ERROR = SERVER_ERROR.case(
    message=_STS + ": {answer}",
    hint="Look at the log of the STS, and whether it reaches this cluster's issuer of ServiceAccount tokens.",
    fields=("storage.credentials.stsEndpoint",),
)
ROLE_DENIED = ACCESS_DENIED.case(
    hint="Allow {action} on bucket {bucket} to the role of {field[storage.credentials.roleARN]}, or to the token's own"
    " role if none is named; then {retry}.",
    fields=("storage.credentials.roleARN", "storage.credentials.serviceAccountName"),
)
ROLE_CREDENTIALS_REFUSED = INVALID_CREDENTIALS.case(
    hint="The STS of {field[storage.credentials.stsEndpoint]} gave the credentials: check that the storage server"
    " accepts those of this STS, then {retry}. If it is another STS, {change[storage.credentials.stsEndpoint]}.",
    fields=("storage.credentials.stsEndpoint",),
)
