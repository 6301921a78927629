"""What requests may have beyond what every server needs: checksums, encryption; sent by boto3 itself."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from trservers.server import Server

pytestmark = pytest.mark.s3
BODY = b"0123456789"


@pytest.fixture
def client(s3_server: Server) -> Any:
    """A boto3 client."""
    return s3_server.client


def test_an_encryption_header_is_accepted_and_confirmed(client: Any, fresh_bucket: str) -> None:
    answer = client.put_object(Bucket=fresh_bucket, Key="k", Body=BODY, ServerSideEncryption="AES256")
    assert answer.get("ServerSideEncryption") == "AES256"
    assert client.get_object(Bucket=fresh_bucket, Key="k")["Body"].read() == BODY


def test_an_md5_is_checked(client: Any, fresh_bucket: str) -> None:
    right = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
    client.put_object(Bucket=fresh_bucket, Key="k", Body=BODY, ContentMD5=right)
    wrong = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    with pytest.raises(ClientError, match=r"BadDigest|InvalidDigest|BadRequest"):
        client.put_object(Bucket=fresh_bucket, Key="k", Body=b"9876543210", ContentMD5=wrong)
    assert client.get_object(Bucket=fresh_bucket, Key="k")["Body"].read() == BODY


def test_a_sha256_is_checked_and_returned(client: Any, fresh_bucket: str) -> None:
    right = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    client.put_object(Bucket=fresh_bucket, Key="k", Body=BODY, ChecksumSHA256=right)
    head = client.head_object(Bucket=fresh_bucket, Key="k", ChecksumMode="ENABLED")
    assert head.get("ChecksumSHA256") == right
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    with pytest.raises(ClientError):
        client.put_object(Bucket=fresh_bucket, Key="k", Body=b"9876543210", ChecksumSHA256=wrong)


def test_parts_of_an_upload_that_was_given_up_are_not_listed(client: Any, fresh_bucket: str) -> None:
    upload = client.create_multipart_upload(Bucket=fresh_bucket, Key="k")["UploadId"]
    client.upload_part(Bucket=fresh_bucket, Key="k", UploadId=upload, PartNumber=1, Body=BODY)
    assert client.list_objects_v2(Bucket=fresh_bucket).get("Contents", []) == []
    client.abort_multipart_upload(Bucket=fresh_bucket, Key="k", UploadId=upload)
    assert client.list_objects_v2(Bucket=fresh_bucket).get("Contents", []) == []
