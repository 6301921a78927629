"""Upload labelled images to the demo's bucket and download results from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from trdemo.target import Storage
from trdemo.tires import draw_set

TRAIN, TEST, SEED = 120, 20, 7


class Bucket:
    """One bucket, reached from this machine with the user's credentials."""

    def __init__(self, storage: Storage, name: str) -> None:
        self.name = name
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=storage.endpoint,
            region_name="us-east-1",
            aws_access_key_id=storage.access_key,
            aws_secret_access_key=storage.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "total_max_attempts": 5},
                connect_timeout=5,
                read_timeout=30,
            ),
        )

    def create(self) -> None:
        """Create the bucket unless it exists."""
        try:
            self.client.create_bucket(Bucket=self.name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def put_all(self, objects: Iterable[tuple[str, bytes]]) -> int:
        """Upload objects in parallel; returns their number."""
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(self.client.put_object, Bucket=self.name, Key=key, Body=body) for key, body in objects]
            for job in jobs:
                job.result()
        return len(jobs)

    def put_tires(self, prefix: str, *, train: int = TRAIN) -> int:
        """Draw and upload the tire data set, laid out as in the tutorial; returns the number of images."""
        photos = [
            (folder, photo)
            for folder, count in (("train", train), ("test", TEST))
            for photo in draw_set(count, seed=SEED, prefix=folder)
        ]
        objects = []
        for folder, photo in photos:
            base = f"{prefix}images/{folder}/{photo.name}"
            objects += [(base, photo.jpeg), (base.removesuffix(".jpg") + ".xml", photo.xml)]
        self.put_all(objects)
        return len(photos)

    def keys(self, prefix: str) -> dict[str, int]:
        """List the keys below a prefix, with their sizes in bytes."""
        return {item["Key"]: item["Size"] for item in self._list(prefix)}

    def etags(self, prefix: str) -> dict[str, str]:
        """List the keys below a prefix, with the ETags of their contents."""
        return {item["Key"]: item["ETag"] for item in self._list(prefix)}

    def _list(self, prefix: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item for page in pages for item in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        """Read a whole object."""
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def download(self, prefix: str, folder: Path) -> list[Path]:
        """Copy everything below a prefix into a folder; returns the files."""
        files = []
        for key in self.keys(prefix):
            path = folder / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(key))
            files.append(path)
        return files


def split_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key."""
    found = re.fullmatch(r"s3://([^/]+)/(.*)", uri)
    if not found:
        raise ValueError(f"{uri!r} is not an S3 address: expected s3://bucket/key")
    return found[1], found[2]


def results_of(status: Mapping[str, Any]) -> dict[str, str]:
    """Addresses of a finished run's results, by a name to print."""
    export = status.get("export", {})
    return {
        "frozen graph": export.get("frozenGraphURI", ""),
        "SavedModel": export.get("savedModelURI", ""),
        "data report": status.get("dataset", {}).get("reportURI", ""),
        "everything": status.get("storageURI", ""),
    }
