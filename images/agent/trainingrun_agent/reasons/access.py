"""Reasons of what is between a pod and its bucket: an STS that gives credentials, a proxy, encryption that is demanded.

Invariant: as in storage.py, every entry has the outcome of the class that raises it (errors.py).
"""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    ADDRESS_REFUSED,
    ENDPOINT_NOT_S3,
    ENDPOINT_UNREACHABLE,
    INVALID_CREDENTIALS,
    SERVER_ERROR,
    TLS_ERROR,
)

_UNSET = " If that is unset, the STS is at {field[storage.endpoint]}."
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
    hint="This STS needs to be told a role: {new_run} with {field[storage.credentials.roleARN]}.",
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
    " {change[storage.credentials.stsEndpoint]}." + _UNSET,
    step=Step.NEW_RUN,
    fields=("storage.credentials.stsEndpoint",),
)
STS_OR_PROXY_NOT_ONE = STS_NOT_ONE.case(
    message=_STS + ": the answer, which may be that of the proxy {proxy}, is not that of an STS ({answer})",
    hint="Check that the proxy lets requests through to {field[storage.credentials.stsEndpoint]}, and that an STS"
    " answers there. To correct it, {change[storage.credentials.stsEndpoint]}; for another proxy,"
    " {change[storage.proxy]}.",
    fields=("storage.credentials.stsEndpoint", "storage.proxy"),
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
    " {change[storage.caBundle]}. If the STS's certificate has expired, renew it and {retry}." + _UNSET,
    fields=("storage.caBundle", "storage.credentials.stsEndpoint"),
)
STS_UNREACHABLE = ENDPOINT_UNREACHABLE.case(
    message=_STS + ": {answer}",
    hint="Check that {field[storage.credentials.stsEndpoint]} is right and reachable from {here}." + _UNSET,
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

ENCRYPTION_REFUSED = Reason(
    "EncryptionRefused",
    Outcome.STORAGE_REFUSED,
    Step.NEW_RUN,
    message="{call} on {where} with encryption {encryption} failed: {answer}",
    hint="Check that the server offers this encryption, and that the key exists, is enabled and may be used with the"
    " credentials of the run. To ask for another, {change[storage.encryption]}.",
    meaning="The storage server cannot encrypt or decrypt an object as it was asked to: it has no such encryption, or"
    " the key of its KMS cannot be used.",
    fields=("storage.encryption",),
)
WRITE_DENIED = ACCESS_DENIED.case(
    hint="Allow {action} on bucket {bucket} to the access key in {credentials}, then {retry}. If a policy of the bucket"
    " demands encryption, {new_run} with {field[storage.encryption]}.",
    fields=("storage.credentials.secretName", "storage.encryption"),
)
ROLE_WRITE_DENIED = ROLE_DENIED.case(
    hint="Allow {action} on bucket {bucket} to the role of {field[storage.credentials.roleARN]}, or to the token's own"
    " role; then {retry}. If a policy of the bucket demands encryption, {new_run} with {field[storage.encryption]}.",
    fields=("storage.credentials.roleARN", "storage.encryption"),
)
_PROXY = "{what} failed: the proxy {proxy} "
PROXY_REFUSED = Reason(
    "ProxyRefused",
    Outcome.STORAGE_REFUSED,
    Step.RETRY,
    message=_PROXY + "refuses the connection: {answer}",
    hint="Let the proxy connect to this address without a password, then {retry}. To go another way,"
    " {change[storage.proxy]}.",
    meaning="An HTTP proxy between the pod and storage, or its STS, does not let requests through: the one of"
    " storage.proxy, or of the Helm value runs.storageProxy.url, or one of the network.",
    fields=("storage.proxy",),
)
PROXY_ADDRESS_REFUSED = ADDRESS_REFUSED.case(
    message="{field[storage.proxy]}: {proxy} leads to {address}, which is the pod itself, its node or the metadata"
    " service of its cloud, not a proxy",
    hint="If the proxy is wrong, {change[storage.proxy]}; if its DNS entry is, correct that and {retry}.",
    fields=("storage.proxy",),
)
PROXY_TLS_ERROR = TLS_ERROR.case(
    message=_PROXY + "cannot be spoken to: {answer}",
    hint="Check http or https in {field[storage.proxy]}. For a private CA, {change[storage.caBundle]}.",
    fields=("storage.proxy", "storage.caBundle"),
)
PROXY_UNREACHABLE = ENDPOINT_UNREACHABLE.case(
    message=_PROXY + "cannot be reached: {answer}",
    hint="Check that the proxy, which {field[storage.proxy]} or your platform team has named, is right and reachable"
    " from {here}.",
    fields=("storage.proxy",),
)
PROXY_GATEWAY_ERROR = SERVER_ERROR.case(
    message=_PROXY + "does not reach the server: {answer}",
    hint="Check that the address is right and reachable from the proxy, and look at the log of the proxy.",
    fields=("storage.endpoint", "storage.proxy"),
)
PROXY_NOT_S3 = ENDPOINT_NOT_S3.case(
    message="{what} failed: the answer, which may be that of the proxy {proxy}, is not S3 ({answer})",
    hint="Check that the proxy lets requests through to {field[storage.endpoint]}, and that S3 answers there. To"
    " correct it, {change[storage.endpoint]}; for another proxy, {change[storage.proxy]}.",
    fields=("storage.endpoint", "storage.proxy"),
)
