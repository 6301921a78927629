"""Refusals of real servers: each has the reason with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from odd_answers import OUTAGE, Odd, check, delete, get, head, listing, part, put
from refusing_s3 import HTML, RefusingServer, document
from trainingrun_agent.errors import ObjectArchived, StageError
from trainingrun_agent.storage.client import PREFLIGHT, WORK, Limits
from trainingrun_agent.storage.error_codes import CODES
from trainingrun_agent.storage.s3 import S3Store

pytestmark = pytest.mark.contract
LOCKED = (
    "User: arn:aws:iam::123456789012:user/a is not authorized to perform: s3:PutObject on resource: x with an explicit"
    " deny in a resource-based policy"
)
NO_KEY = (
    "User: arn:aws:iam::123456789012:user/a is not authorized to perform: kms:GenerateDataKey on this resource because"
    " no identity-based policy allows the kms:GenerateDataKey action"
)
ROOM = "Make room in bucket detectors, or have its quota raised; `trainingrun prune` shows what can be deleted."
WITH_ENCRYPTION = "new TrainingRun with spec.storage.encryption"
ODD = {
    # No room, and limits of accounts
    "Ceph's quota": Odd(403, document("QuotaExceeded"), "StorageFull", ROOM, OUTAGE, message="there is no room for it"),
    "MinIO's disks": Odd(507, document("XMinioStorageFull"), "StorageFull", ROOM, OUTAGE),
    "MinIO's quota": Odd(400, document("XMinioAdminBucketQuotaExceeded"), "StorageFull", ROOM, OUTAGE),
    "quota as a conflict": Odd(409, document("InsufficientStorageSpace"), "StorageFull", ROOM, OUTAGE),
    "quota, unavailable": Odd(503, document("QuotaExceededException"), "StorageFull", ROOM, OUTAGE),
    "507 without document": Odd(507, HTML, "StorageFull", ROOM, OUTAGE),
    "Garage's quota": Odd(
        403, document("AccessDenied", "Forbidden: Bucket size quota is reached"), "StorageFull", ROOM, OUTAGE
    ),
    "B2's storage cap": Odd(403, document("AccessDenied", "Storage cap exceeded."), "StorageFull", ROOM, OUTAGE),
    "B2's transactions": Odd(
        403,
        document("AccessDenied", "Transaction cap exceeded, see the Caps &amp; Alerts page to increase your cap."),
        "LimitReached",
        "Raise the limit at the storage provider",
        OUTAGE,
        get,
    ),
    "suspended": Odd(403, document("UserSuspended"), "AccountUnusable", "suspended", call=listing),
    "not signed up, or an unknown key of s3s-fs": Odd(
        403, document("NotSignedUp"), "AccountUnusable", "Check the access key in the Secret", call=listing
    ),
    # Encryption
    "no right to write": Odd(403, document("AccessDenied"), "AccessDenied", WITH_ENCRYPTION),
    "no right to write a part": Odd(403, document("AccessDenied"), "AccessDenied", WITH_ENCRYPTION, call=part),
    "no right to read": Odd(403, document("AccessDenied"), "AccessDenied", "Allow s3:GetObject on bucket", call=get),
    "no right to delete": Odd(403, document("AccessDenied"), "AccessDenied", "Allow s3:DeleteObject", call=delete),
    "policy with a deny": Odd(403, document("AccessDenied", LOCKED), "AccessDenied", WITH_ENCRYPTION),
    "policy that says so": Odd(
        403,
        document("AccessDenied", "x-amz-server-side-encryption is required"),
        "AccessDenied",
        "A policy of bucket detectors denies such writes",
    ),
    "no right to the key": Odd(403, document("AccessDenied", NO_KEY), "EncryptionRefused", "kms:GenerateDataKey"),
    "unknown key": Odd(400, document("KMS.NotFoundException"), "EncryptionRefused", "spec.storage.encryption.kmsKeyId"),
    "disabled key": Odd(400, document("KMS.DisabledException"), "EncryptionRefused", "is enabled"),
    "key to be deleted": Odd(400, document("KMS.KMSInvalidStateException"), "EncryptionRefused", "another"),
    "key of an object": Odd(
        400, document("KMS.DisabledException"), "EncryptionRefused", "the key that the object is", call=get
    ),
    "keys too often": Odd(400, document("KMS.ThrottlingException"), "ServerError", "log of the storage", OUTAGE),
    "keys away": Odd(503, document("KMS.KMSInternalException"), "ServerError", "log of the storage", OUTAGE),
    "no key service": Odd(
        501,
        document("NotImplemented", "Server side encryption specified but KMS is not configured"),
        "EncryptionRefused",
        "spec.storage.encryption.type",
    ),
    "encryption over http": Odd(
        400,
        document(
            "InvalidArgument", "must be made over a secure connection", ArgumentName="x-amz-server-side-encryption"
        ),
        "EncryptionRefused",
        "only over https",
    ),
    "unknown encryption": Odd(
        400, document("InvalidEncryptionAlgorithmError"), "EncryptionRefused", "spec.storage.encryption.type"
    ),
    "key of the writer": Odd(
        400,
        document("InvalidRequest", "The object was stored using a form of Server Side Encryption."),
        "EncryptionRefused",
        "(SSE-C)",
        call=get,
    ),
    "another argument": Odd(400, document("InvalidArgument", "bad"), "RequestRefused", "check its version"),
    # Archives
    "archived": Odd(
        403,
        document(
            "InvalidObjectState", "The operation is not valid for the object's storage class", StorageClass="GLACIER"
        ),
        "ObjectArchived",
        "Restore the object",
        call=get,
        message="s3://detectors/k at ",
    ),
    "archived, no class": Odd(
        403,
        document("InvalidObjectState", "no", StorageClass="&lt;a b&gt;"),
        "ObjectArchived",
        "raise spec.retry",
        call=get,
    ),
    # Clocks
    "clock": Odd(403, document("RequestTimeTooSkewed"), "ClockSkew", "NTP"),
    # Requests
    "no length": Odd(411, document("MissingContentLength"), "RequestRefused", "Content-Length"),
    "no length, HTML": Odd(411, HTML, "RequestRefused", "Content-Length"),
    "too large": Odd(400, document("EntityTooLarge"), "RequestRefused", "32 MiB"),
    "nginx's limit": Odd(413, HTML, "RequestRefused", "client_max_body_size", headers={"Server": "nginx"}),
    "long key": Odd(400, document("KeyTooLongError"), "RequestRefused", "another spec.storage.prefix"),
    "key that is a folder": Odd(400, document("XMinioParentIsObject"), "RequestRefused", "spec.storage.prefix"),
    "long key to read": Odd(400, document("KeyTooLongError"), "RequestRefused", "check its version", call=get),
    "not implemented": Odd(501, document("NotImplemented"), "RequestRefused", "does not support PutObject"),
    "not implemented, HTML": Odd(501, HTML, "EndpointNotS3", "spec.storage.endpoint"),
    "not implemented, HEAD": Odd(501, "", "RequestRefused", "does not support HeadObject", call=head),
    "method": Odd(405, document("MethodNotAllowed"), "RequestRefused", "does not support PutObject"),
    "method, HTML": Odd(405, HTML, "EndpointNotS3", "spec.storage.endpoint"),
    "storage class": Odd(400, document("InvalidStorageClass"), "RequestRefused", "check its version"),
    "changed on the way": Odd(400, document("BadDigest"), "EndpointUnreachable", "arrives cut off or changed", OUTAGE),
    "parts are gone": Odd(404, document("NoSuchUpload"), "ServerError", "log", OUTAGE, part),
    "client gone": Odd(499, document("ClientDisconnected"), "ServerError", "log", OUTAGE),
    "slow down": Odd(503, document("SlowDownWrite"), "ServerError", "log", OUTAGE),
    "R2": Odd(503, document("ServiceUnavailable"), "ServerError", "log", OUTAGE),
    "R2's key": Odd(401, document("Unauthorized"), "InvalidCredentials", "AWS_ACCESS_KEY_ID"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_each_refusal_has_the_reason_with_its_remedy(
    refusing: RefusingServer, open_at: Callable[..., S3Store], odd: Odd
) -> None:
    check(odd, refusing, open_at)


@pytest.mark.parametrize(
    "code", [code for code in CODES if CODES[code].name not in ("ObjectNotFound", "BucketNotFound")]
)
def test_each_code_of_the_table_is_known_whatever_its_status(
    refusing: RefusingServer, open_at: Callable[..., S3Store], code: str
) -> None:
    refusing.body, store = document(code), open_at()
    found = set()
    for refusing.status in (400, 403, 409, 503):
        with pytest.raises(StageError) as caught:
            put(store)
        found.add(caught.value.reason)
    assert found == {CODES[code].name}


def test_an_archived_object_is_an_error_of_its_own(refusing: RefusingServer, open_at: Callable[..., S3Store]) -> None:
    refusing.body = document("InvalidObjectState", StorageClass="DEEP_ARCHIVE")
    with pytest.raises(ObjectArchived, match="storage class DEEP_ARCHIVE") as caught:
        get(open_at())
    assert caught.value.values["storage_class"] == "DEEP_ARCHIVE"


def test_an_archived_shard_or_manifest_names_its_key(
    refusing: RefusingServer, open_at: Callable[..., S3Store], tmp_path: Path
) -> None:
    refusing.body = document("InvalidObjectState", StorageClass="GLACIER")
    with pytest.raises(
        ObjectArchived, match=r"s3://detectors/datasets/x/train-0 at .* is archived and must be restored"
    ):
        open_at(limits=WORK).download("datasets/x/train-0", tmp_path / "f", size=1, sha256=None)
    assert not list(tmp_path.glob("f*"))


@pytest.mark.parametrize("minutes", [-14, 6, 14])
def test_clocks_that_s3_accepts_are_accepted(
    refusing: RefusingServer, open_at: Callable[..., S3Store], minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    refusing.status, refusing.body = 200, "<?xml version='1.0'?><ListBucketResult><Name>d</Name></ListBucketResult>"
    refusing.headers["Date"] = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes), usegmt=True)
    store = open_at()
    assert (listing(store), listing(store)) == ([], [])
    [record] = caplog.records
    assert f"{'ahead of' if minutes > 0 else 'behind'} the clock of {refusing.endpoint}" in record.message


@pytest.mark.parametrize("limits", [WORK, PREFLIGHT], ids=["work", "preflight"])
@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "RequestTimeTooSkewed"), (403, "RequestExpired"), (403, "QuotaExceeded"), (307, "TemporaryRedirect")],
)
def test_no_refusal_is_repeated_in_a_loop(
    refusing: RefusingServer, open_at: Callable[..., S3Store], status: int, code: str, limits: Limits
) -> None:
    refusing.status, refusing.body = status, document(code)
    refusing.headers = {"Location": f"{refusing.endpoint}/elsewhere"} if status == 307 else {}
    with pytest.raises(StageError):
        listing(open_at(limits=limits))
    assert len(refusing.requests) == 1
