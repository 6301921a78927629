"""Reasons for answers of storage servers, and of what stands between them and the pod, that have a remedy of their own.

Invariant: as in storage.py, every entry has the outcome of the class that raises it (errors.py).
"""

from __future__ import annotations

from trainingrun_agent.reasons.access import ENCRYPTION_REFUSED, PROXY_REFUSED
from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.reasons.storage import (
    ACCESS_DENIED,
    ENDPOINT_UNREACHABLE,
    REQUEST_REFUSED,
    SERVER_ERROR,
    TLS_ERROR,
)
from trainingrun_agent.terms import Change

_REFUSED, _OUTAGE = Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE
_FAILED = "{call} on {where} failed: {answer}"

STORAGE_FULL = Reason(
    "StorageFull",
    _OUTAGE,
    Step.WAIT,
    message="{call} on {where} failed: there is no room for it ({answer})",
    hint="Make room in bucket {bucket}, or have its quota raised; `trainingrun prune` shows what can be deleted.",
    meaning="The quota of the bucket or of its owner, or the disks of the storage server, are used up. The pod waits"
    " and tries again.",
    fields=("storage.bucket",),
)
LIMIT_REACHED = Reason(
    "LimitReached",
    _OUTAGE,
    Step.WAIT,
    message=_FAILED,
    hint="Raise the limit at the storage provider, or wait until it begins anew, which most do once a day.",
    meaning="The account has reached a limit that was set at the storage provider, such as requests or downloads of a"
    " day. The pod waits and tries again.",
)
ACCOUNT_UNUSABLE = Reason(
    "AccountUnusable",
    _REFUSED,
    Step.RETRY,
    message=_FAILED,
    hint="Check the access key in {credentials}: some servers answer so to one that they do not know. If it is right,"
    " ask the storage provider why the account of bucket {bucket} is closed or suspended. Then {retry}.",
    meaning="The account at the storage provider is suspended, has a problem with payment, or is not signed up; or the"
    " access key belongs to no account.",
    fields=("storage.credentials.secretName",),
)
ROLE_ACCOUNT_UNUSABLE = ACCOUNT_UNUSABLE.case(
    hint="Ask the storage provider why the account of bucket {bucket} is closed or suspended, or whether the role of"
    " {field[storage.credentials.roleARN]} is known to it; then {retry}.",
    fields=("storage.credentials.roleARN",),
)

ENCRYPTION_DEMANDED = ACCESS_DENIED.case(
    hint="A policy of bucket {bucket} denies such writes. If it demands encryption, {new_run} with"
    " {field[storage.encryption]}; else allow {action} there, then {retry}.",
    step=Step.NEW_RUN,
    fields=("storage.encryption",),
)
KEY_UNUSABLE = ENCRYPTION_REFUSED.case(
    message=_FAILED,
    hint="Check that {field[storage.encryption.kmsKeyId]}, or the bucket's own key, exists, is enabled and may be used"
    " by the run (kms:GenerateDataKey, kms:Decrypt), then {retry}. For another key,"
    " {change[storage.encryption.kmsKeyId]}.",
    step=Step.RETRY,
    fields=("storage.encryption.kmsKeyId", "storage.encryption.type"),
)
KEY_OF_OBJECT_UNUSABLE = ENCRYPTION_REFUSED.case(
    message=_FAILED,
    step=Step.RETRY,
    hint="Check that the key that the object is encrypted with exists, is enabled, and may be used for reading"
    " (kms:Decrypt), then {retry}.",
    fields=(),
)
ENCRYPTION_NOT_OFFERED = ENCRYPTION_REFUSED.case(
    message=_FAILED,
    hint="The server does not offer this encryption, or only over https: {change[storage.encryption.type]}, or one"
    " without {field[storage.encryption]}.",
    step=Step.NEW_RUN,
    fields=("storage.encryption.type", "storage.encryption"),
)
_ASKED = ENCRYPTION_REFUSED.message
ASKED_KEY_UNUSABLE = KEY_UNUSABLE.case(message=_ASKED)
ASKED_ENCRYPTION_NOT_OFFERED = ENCRYPTION_NOT_OFFERED.case(message=_ASKED)
OTHER_ENCRYPTION_DEMANDED = ENCRYPTION_DEMANDED.case(
    message=_ASKED,
    hint="A policy of bucket {bucket} denies such writes. If it demands another encryption,"
    " {change[storage.encryption]}; else allow {action} there, then {retry}.",
)
KEY_OF_WRITER_UNKNOWN = ENCRYPTION_REFUSED.case(
    message=_FAILED,
    step=Step.RETRY,
    hint="The object is encrypted with a key that only its writer has (SSE-C): upload it again without such a key, then"
    " {retry}.",
    fields=(),
)

OBJECT_ARCHIVED = Reason(
    "ObjectArchived",
    _REFUSED,
    Step.RETRY,
    message="{where} is archived and must be restored before it can be read: {answer}",
    hint="Restore the object, which can take hours, or copy it to a storage class that can be read at once; then"
    " {retry}.",
    meaning="The object is in an archive, such as S3 Glacier or Deep Archive, from which nothing is read directly.",
)

PATH_STYLE_REFUSED = Reason(
    "PathStyleRefused",
    _REFUSED,
    Step.NEW_RUN,
    message=_FAILED,
    hint="The server wants the name of the bucket before its own name: {change_addressing}.",
    meaning="The storage server does not take requests that name the bucket in the path (host/bucket), only in the host"
    " (bucket.host).",
    fields=("storage.addressing",),
    example={"change_addressing": Change("storage.addressing", to="virtual")},
)
BUCKET_HOST_UNKNOWN = ENDPOINT_UNREACHABLE.case(
    hint="The host {host} has an address, but none with the bucket before it. If your DNS has no names of buckets,"
    " {change[storage.addressing]}.",
    step=Step.NEW_RUN,
    fields=("storage.addressing", "storage.endpoint"),
)
BUCKET_HOST_NOT_CERTIFIED = TLS_ERROR.case(
    hint="The certificate is not for the bucket's host name: {change[storage.addressing]}, or give the server a"
    " certificate for the names of its buckets and {retry}.",
    fields=("storage.addressing",),
)
ENDPOINT_REDIRECTS = Reason(
    "EndpointRedirects",
    _REFUSED,
    Step.NEW_RUN,
    message="{call} on {where} failed: {answer}; it is redirected to {to}",
    hint="Redirects are not followed, so that credentials reach no other host. If this is your storage,"
    " {change_endpoint}.",
    meaning="Requests to the endpoint are sent elsewhere: from http to https, to another region or node, or to the"
    " login page of a network.",
    fields=("storage.endpoint",),
    example={"change_endpoint": Change("storage.endpoint")},
)
BUCKET_IS_NEW = SERVER_ERROR.case(
    hint="Redirects end once the name of a new bucket is known everywhere, in minutes or hours. If they stay, check"
    " that {field[storage.region]} and {field[storage.endpoint]} are those of the bucket.",
    fields=("storage.region", "storage.endpoint"),
)

UNKNOWN_PROXY_REFUSED = PROXY_REFUSED.case(
    message="{call} on {where} failed: a proxy between {here} and the storage refuses it ({answer})",
    hint="Let the proxy pass what {here} sends to the storage, without a password, and {retry}; or"
    " {change[storage.proxy]}.",
)
PROXY_FINDS_NO_SERVER = SERVER_ERROR.case(
    message="{call} on {where} failed: a proxy answered in place of the storage ({answer})",
    hint="The proxy does not get an answer from the storage server: look at both logs.",
    fields=("storage.proxy", "storage.endpoint"),
)
CHANGED_ON_THE_WAY = ENDPOINT_UNREACHABLE.case(
    hint="What {here} sends arrives cut off or changed: look at proxies between it and the storage server.",
    fields=(),
)
TOO_LARGE_TO_SEND = REQUEST_REFUSED.case(
    hint="The server, or a proxy before it, does not take a request of this size: allow 32 MiB (nginx:"
    " client_max_body_size), then {retry}.",
)
LENGTH_MISSING = REQUEST_REFUSED.case(
    hint="The header Content-Length was sent and did not arrive: let the proxy before the server pass it on.",
)
KEY_REFUSED = REQUEST_REFUSED.case(
    hint="The server takes no such key, or has an object where the key has a folder: {change[storage.prefix]}, a short"
    " one of plain letters, or remove the object and {retry}.",
    step=Step.NEW_RUN,
    fields=("storage.prefix",),
)
