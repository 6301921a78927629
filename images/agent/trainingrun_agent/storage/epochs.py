"""Fencing: every pod of a run claims the next free epoch and writes only below folders named after it.

Invariant: an epoch belongs to one pod. Two pods that claim at once get different numbers if the server supports
If-None-Match; if it does not, they nearly always do, and the pod UID in the folder's name keeps them apart. A pod that
was given up, but still runs on an unreachable node, publishes nothing once a later pod has claimed an epoch.
"""

from __future__ import annotations

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import IntegrityError, Superseded
from trainingrun_agent.keys import RunKeys
from trainingrun_agent.reasons.storage import NO_FREE_EPOCH
from trainingrun_agent.storage import documents
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Place

MAX_TRIES = 100


def claim(store: ObjectStore, run: RunKeys, pod_uid: str, *, clock: Clock | None = None) -> int:
    """Claim the next free epoch; the first is 1. A claim that this pod finds made in its own name is its claim."""
    epoch = _newest(store, run) + 1
    claim_document = {"podUID": pod_uid, "claimed": rfc3339((clock or Clock()).now())}
    for candidate in range(epoch, epoch + MAX_TRIES):
        key = run.epoch(candidate)
        written = store.put(key, documents.encode(claim_document), if_absent=True)
        if written and store.traits.conditional_writes:
            return candidate
        # The answer to our own put may have been lost, and its repetition answered with 412. Without conditional
        # writes, another pod may have written at the same time.
        holder = documents.read(store, key)
        if holder is None and not written:  # the server takes every key for one that exists
            store.traits.conditional_writes = False
            store.put(key, documents.encode(claim_document), if_absent=True)
            holder = documents.read(store, key)
        if holder is not None and holder.get("podUID") == pod_uid:
            return candidate
    place = Place(store.bucket, f"{run.epochs}/")
    raise IntegrityError(NO_FREE_EPOCH, first=epoch, last=epoch + MAX_TRIES - 1, place=place)


def require_newest(store: ObjectStore, run: RunKeys, epoch: int) -> None:
    """Raise Superseded if another pod has claimed a later epoch."""
    newest = _newest(store, run)
    if newest > epoch:
        raise Superseded(newest=newest, epoch=epoch)


def _newest(store: ObjectStore, run: RunKeys) -> int:
    return max((run.parse_epoch(info.key) or 0 for info in store.list(f"{run.epochs}/")), default=0)
