"""Read what a run has stored in its bucket, so that tests can compare it with the run's status.

Invariant: nothing is written. The layout is in images/contracts/README.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from trdemo.bucket import Bucket, split_uri
from trdemo.installation import Object

MANIFEST = "MANIFEST.json"
_CHECKPOINT = re.compile(r"train/(\d{4})-[0-9a-f]{8}/checkpoints/(\d{8})/MANIFEST\.json")
_LAST = re.compile(r"train/(\d{4})-[0-9a-f]{8}/last\.json")
_EPOCH = re.compile(r"epochs/(\d{4})\.json")


@dataclass(frozen=True, slots=True)
class Resume:
    """The step that an attempt resumes from, and how many steps beyond it are lost."""

    step: int
    lost: int


def prefix_of(status: Object) -> str:
    """Key prefix of a run in its bucket; ends with a slash."""
    return split_uri(status["storageURI"])[1]


def checkpoints(bucket: Bucket, prefix: str) -> list[tuple[int, int]]:
    """List epoch and step of every complete checkpoint."""
    found = [_CHECKPOINT.fullmatch(key.removeprefix(prefix)) for key in bucket.keys(f"{prefix}train/")]
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def epoch_of(bucket: Bucket, prefix: str, pod_uid: str) -> int | None:
    """Find the epoch that a pod has claimed; None if it has claimed none yet."""
    for key in bucket.keys(f"{prefix}epochs/"):
        match = _EPOCH.fullmatch(key.removeprefix(prefix))
        if match and json.loads(bucket.read(key))["podUID"] == pod_uid:
            return int(match[1])
    return None


def resume_before(bucket: Bucket, prefix: str, epoch: int) -> Resume:
    """Work out from earlier epochs what the attempt of an epoch resumes from."""
    step = max((step for each, step in checkpoints(bucket, prefix) if each < epoch), default=0)
    reached = [
        int(json.loads(bucket.read(key))["step"])
        for key in bucket.keys(f"{prefix}train/")
        if (match := _LAST.fullmatch(key.removeprefix(prefix))) and int(match[1]) < epoch
    ]
    return Resume(step, max(0, max(reached, default=0) - step))


def resumed_from(bucket: Bucket, prefix: str, epoch: int) -> int | None:
    """The step that the training of an epoch has resumed from; None if it has recorded none yet."""
    for key in bucket.keys(f"{prefix}train/{epoch:04d}-"):
        if key.endswith("/last.json"):
            step = json.loads(bucket.read(key)).get("resumedFromStep")
            return None if step is None else int(step)
    return None


def wrong_objects(bucket: Bucket, *prefixes: str) -> list[str]:
    """Describe each object whose size or digest differs from its manifest; ValueError if there is no manifest."""
    manifests = [key for prefix in prefixes for key in bucket.keys(prefix) if key.endswith(f"/{MANIFEST}")]
    if not manifests:
        raise ValueError(f"no manifest below {', '.join(prefixes)}")
    return [wrong for key in manifests for wrong in _wrong_in(bucket, key)]


def _wrong_in(bucket: Bucket, key: str) -> list[str]:
    folder = key.removesuffix(MANIFEST)
    wrong = []
    for entry in json.loads(bucket.read(key))["objects"]:
        name = entry["key"]
        body = bucket.read(name if name.startswith("datasets/") else folder + name)
        found = (len(body), hashlib.sha256(body).hexdigest())
        if found != (entry["size"], entry["sha256"]):
            wrong.append(f"{key}: {name} is {found}, not {(entry['size'], entry['sha256'])}")
    return wrong
