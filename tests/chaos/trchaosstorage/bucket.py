"""The bucket as a stranger reads it: without the agent's code, past the proxy."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

from botocore.exceptions import ClientError

PREFIX: Final = "lab/"
MANIFEST: Final = "/MANIFEST.json"
CHECKPOINT: Final = re.compile(r"/train/(\d{4,9})-[^/]+/checkpoints/(\d{8})/MANIFEST\.json$")
EPOCH: Final = re.compile(r"/epochs/(\d{4,9})\.json$")
ATTEMPT: Final = re.compile(r"/(?:train|export)/(\d{4,9})-([^/]+)/")
EVENTS: Final = re.compile(r"/train/[^/]+/events/(train|eval_0)/([^/]+)/(\d{20})$")


class Bucket:
    """Objects of one bucket."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self.name = client, name

    def sizes(self) -> dict[str, int]:
        """Keys below the prefix, with their sizes."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=PREFIX)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}

    def read(self, key: str) -> bytes | None:
        """The bytes of an object, None if there is none."""
        try:
            data: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return data

    def wrong_in(self, manifest: str) -> list[str]:
        """What is wrong with the objects of a manifest; a manifest that was deleted meanwhile has nothing wrong."""
        data = self.read(manifest)
        if data is None:
            return []
        wrong = []
        for entry in json.loads(data)["objects"]:
            folder = PREFIX.rstrip("/") if entry["key"].startswith("datasets/") else manifest.removesuffix(MANIFEST)
            found = self.read(f"{folder}/{entry['key']}")
            if found is None or len(found) != entry["size"] or hashlib.sha256(found).hexdigest() != entry["sha256"]:
                wrong.append(f"{manifest}: {entry['key']} is {'missing' if found is None else 'not as promised'}")
        return wrong if self.read(manifest) is not None else []

    def newest_checkpoint(self) -> int:
        """The highest step of a whole checkpoint, 0 without any."""
        steps = {int(found[2]): key for key in self.sizes() if (found := CHECKPOINT.search(key))}
        return max((step for step, key in steps.items() if not self.wrong_in(key)), default=0)
