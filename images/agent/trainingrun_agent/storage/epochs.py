"""Fencing: every pod of a run claims the next free epoch and writes only below folders that carry it.

Invariant: an epoch belongs to one pod. Two pods that claim at once get different numbers where the server
honours If-None-Match; where it does not, the pod's UID in the folder name still keeps them apart. A pod that was
given up, and lives on where nobody sees it, stops publishing once a later one has claimed.
"""

from __future__ import annotations

import re

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import IntegrityError, Superseded
from trainingrun_agent.reasons.storage import NO_FREE_EPOCH
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place

MAX_TRIES = 100
_NAME = re.compile(r"(\d{4,9})\.json")


def claim(store: ObjectStore, run_prefix: str, pod_uid: str, *, clock: Clock | None = None) -> int:
    """Claim the next free epoch, from 1 on. A claim of this pod that is there already counts as made now."""
    folder = f"{run_prefix}/epochs/"
    epoch = _newest(store, folder) + 1
    claim_document = {"podUID": pod_uid, "claimed": rfc3339((clock or Clock()).now())}
    for candidate in range(epoch, epoch + MAX_TRIES):
        key = f"{folder}{candidate:04d}.json"
        if store.put(key, documents.encode(claim_document), if_absent=True):
            return candidate
        # The first answer to our own put may have been lost on the way and the repeat was told 412.
        holder = documents.read(store, key)
        if holder is not None and holder.get("podUID") == pod_uid:
            return candidate
    raise IntegrityError(NO_FREE_EPOCH, first=epoch, last=epoch + MAX_TRIES - 1, place=Place(store.bucket, folder))


def require_newest(store: ObjectStore, run_prefix: str, epoch: int) -> None:
    """Raises Superseded once another pod has claimed a later epoch."""
    newest = _newest(store, f"{run_prefix}/epochs/")
    if newest > epoch:
        raise Superseded(newest=newest, epoch=epoch)


def folder_name(epoch: int, pod_uid: str) -> str:
    """`<epoch:04d>-<first 8 of the pod's UID>`, the name of an attempt's own folder."""
    return f"{epoch:04d}-{pod_uid[:8]}"


def _newest(store: ObjectStore, folder: str) -> int:
    newest = 0
    for info in store.list(folder):
        match = _NAME.fullmatch(info.key[len(folder) :])
        if match:
            newest = max(newest, int(match[1]))
    return newest
