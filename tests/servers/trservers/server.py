"""A running S3 server, as tests see it; each module beside this one starts one kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


@dataclass(frozen=True)
class Server:
    """Address and account of a server; `name` and `version` are those of its project."""

    name: str
    version: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @cached_property
    def client(self) -> Any:
        """A plain boto3 client, to prepare buckets and to look at answers; safe to use from several threads."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                proxies={},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket and what is in it, as far as the server can; some give each bucket much memory or disk."""
        with suppress(BotoCoreError, ClientError):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
                self._remove_objects(name, [entry["Key"] for entry in page.get("Contents", ())])
            self.client.delete_bucket(Bucket=name)

    def _remove_objects(self, bucket: str, keys: list[str]) -> None:
        """Remove them with one request, or each by itself where the server cannot."""
        try:
            if len(keys) > 1:
                listed = [{"Key": key} for key in keys]
                self.client.delete_objects(Bucket=bucket, Delete={"Objects": listed, "Quiet": True})
                return
        except (BotoCoreError, ClientError):
            pass
        for key in keys:
            self.client.delete_object(Bucket=bucket, Key=key)

    def write_account(self, folder: Path) -> None:
        """Write the account as a mounted Secret has it; a session token that is there is removed."""
        (folder / "AWS_ACCESS_KEY_ID").write_text(self.access_key)
        (folder / "AWS_SECRET_ACCESS_KEY").write_text(self.secret_key)
        (folder / "AWS_SESSION_TOKEN").unlink(missing_ok=True)
