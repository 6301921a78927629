"""What must hold after every pod, and of the bucket when a run has ended; each function returns what does not."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from trchaosstorage.bucket import ATTEMPT, CHECKPOINT, EPOCH, EVENTS, MANIFEST, Bucket
from whole_life import Life, Pod

RESULTS = ("prepared.json", "trained.json", "exported.json")


def of_pod(pod: Pod, bucket: Bucket, *, newest: int, evaluated: Iterable[int] = ()) -> list[str]:
    """A training starts from the newest whole checkpoint; a verdict promises no checkpoint that is not there.

    `evaluated` are the steps that every training evaluates.
    """
    wrong = []
    spec = _document(pod, "spec.json")
    if spec and spec["stage"] == "train" and spec["resumedFromStep"] < newest:
        wrong.append(f"{pod.name} resumed from step {spec['resumedFromStep']}, but {newest} was in the bucket")
    if spec and spec["stage"] == "train":
        wrong += _lost_evaluations(pod, bucket, set(evaluated), resumed_from=spec["resumedFromStep"])
    promised = ((pod.verdict or {}).get("numbers") or {}).get("checkpointStep") or 0
    if pod.name.startswith("train") and promised > (found := bucket.newest_checkpoint()):
        wrong.append(f"{pod.name} promised checkpoint {promised}, but the newest whole one is {found}")
    return wrong


def of_bucket(bucket: Bucket, life: Life) -> list[str]:
    """Results are there, manifests verify, an epoch has one pod, and event files are as the trainer wrote them."""
    keys = bucket.sizes()
    wrong = [f"{name} is missing" for name in RESULTS if not any(key.endswith(f"/{name}") for key in keys)]
    for key in keys:
        if key.endswith(MANIFEST):
            wrong += bucket.wrong_in(key)
        if key.endswith(RESULTS):
            named = json.loads(bucket.read(key) or b"{}").get("manifestKey", "nothing")
            if f"lab/{named}" not in keys:
                wrong.append(f"{key} names {named}, which is missing")
    return wrong + _epochs(bucket, keys) + _events(bucket, keys, life)


def secrets(life: Life, secret: str) -> list[str]:
    """The secret key is not in what was printed, served, stored, or visible of processes."""
    emitted = {**{name: text.encode() for name, text in life.printed.items()}, **life.stored, **life.processes}
    return [f"a credential is in {name}" for name, data in emitted.items() if secret.encode() in data]


def _lost_evaluations(pod: Pod, bucket: Bucket, evaluated: set[int], *, resumed_from: int) -> list[str]:
    """What a pod evaluated on the way to a checkpoint in the bucket is there too: the next attempt goes on from it."""
    keys = [key for key in bucket.sizes() if f"-{pod.uid[:8]}/" in key]
    newest = max((int(found[2]) for key in keys if (found := CHECKPOINT.search(key))), default=0)
    stored = [json.loads(bucket.read(key) or b"{}") for key in keys if key.endswith("/evaluations.json")]
    there = {one["step"] for document in stored for one in document["evaluations"]}
    lost = {step for step in evaluated if resumed_from < step < newest} - there
    return [f"{pod.name}: checkpoint {newest} is in the bucket, evaluations {sorted(lost)} are not"] if lost else []


def _epochs(bucket: Bucket, keys: dict[str, int]) -> list[str]:
    holders: dict[int, set[str]] = defaultdict(set)
    claims: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        if found := EPOCH.search(key):
            uid = json.loads(bucket.read(key) or b"{}")["podUID"]
            holders[int(found[1])].add(uid[:8])
            claims[uid].append(int(found[1]))
        elif found := ATTEMPT.search(key):
            holders[int(found[1])].add(found[2])
    wrong = [f"epoch {epoch} was claimed by {uids}" for epoch, uids in holders.items() if len(uids) > 1]
    wrong += [f"pod {uid} claimed the epochs {epochs}" for uid, epochs in claims.items() if len(epochs) > 1]
    if sum(map(len, claims.values())) != len(holders):
        wrong.append(f"{len(holders)} epochs are used, {sum(map(len, claims.values()))} are claimed")
    return wrong


def _events(bucket: Bucket, keys: dict[str, int], life: Life) -> list[str]:
    """Chunks of event files have the bytes that a trainer wrote, without gaps."""
    ends: dict[str, int] = defaultdict(int)
    wrong = []
    for key in sorted(keys):
        if found := EVENTS.search(key):
            folder, file, offset = found[1], found[2], int(found[3])
            data, name = bucket.read(key) or b"", key.rpartition("/")[0]
            if offset > ends[name]:
                wrong.append(f"{key}: bytes before it are missing")
            ends[name] = max(ends[name], offset + len(data))
            below = "model/eval_0" if folder == "eval_0" else "model"
            written = [path.read_bytes() for path in life.root.glob(f"train-*/{below}/{file}")]
            if not any(one[offset : offset + len(data)] == data for one in written):
                wrong.append(f"{key} is not what the trainer wrote")
    return wrong


def _document(pod: Pod, name: str) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads((pod.shared / name).read_text())
    except (OSError, ValueError):
        return None
    return document
