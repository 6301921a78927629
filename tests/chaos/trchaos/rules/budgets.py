"""The tables of docs/architecture.md, "Failures", once more: budgets, back-offs, and how ends of attempts count."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final

RETRIES: Final = {
    "userError": 0,
    "storageRefused": 0,
    "storageOutage": 5,
    "diverged": 0,
    "stalled": 2,
    "outOfMemory": 1,
    "diskFull": 0,
    "interrupted": 5,
    "crash": 3,
    "gpuUnfit": 0,
}
BACK_OFF: Final = (10, 30, 60, 120, 300)
BACKS_OFF: Final = {"storageOutage", "interrupted", "crash"}
REPLACEABLE: Final = {"storageOutage", "stalled", "outOfMemory", "interrupted", "crash"}  # by train.retries
REBUILDS: Final = 2  # of a lost data set
SAVED: Final = {"train": "checkpointStep", "prep": "savedImages"}  # what an attempt has in the bucket when it ends

Entry = Mapping[str, Any]


def failures_after(before: Entry, after: Entry, *, stage: str, outcomes: Sequence[str]) -> list[dict[str, int]]:
    """What the failures of a stage may be once these ends have been counted.

    Of several ends that are counted in one status, it does not say which of their attempts have saved something.
    """
    name = SAVED.get(stage, "")
    saved = after.get(name, 0) > before.get(name, 0)
    ways = [way for way in product((True, False), repeat=len(outcomes)) if any(way) == saved]
    return [_count(dict(before.get("failures") or {}), zip(outcomes, way, strict=True)) for way in ways]


def _count(failures: dict[str, int], ends: Iterable[tuple[str, bool]]) -> dict[str, int]:
    """Count ends, each with whether its attempt has saved something."""
    for outcome, saved in ends:
        if outcome == "succeeded":
            continue
        if saved:
            failures.pop("storageRefused", None)
            if outcome == "interrupted":
                failures[outcome] = 0
        failures[outcome] = failures.get(outcome, 0) + 1
    return failures


def retries(outcome: str, *, stage: str, train: Mapping[str, Any], rolled_back: bool) -> int:
    """How often an outcome is retried, by the resolved `train`; `rolled_back` is whether a rollback was done before."""
    usual = RETRIES[outcome]
    if stage != "train":
        return usual
    if outcome == "diverged" and train.get("onDivergence") == "Rollback" and not rolled_back:
        return usual + 1
    asked = (train.get("retries") or {}).get(outcome)
    if asked is not None and outcome in REPLACEABLE:
        return int(asked)
    if outcome == "outOfMemory" and train.get("onOutOfMemory") == "HalveBatch":
        return max(usual, _halvings(int(train.get("batchSize") or 1)))
    return usual


def _halvings(batch: int) -> int:
    count = 0
    while batch > 1:
        batch, count = batch // 2, count + 1
    return count


def back_off(outcome: str, failures: int) -> int:
    """Seconds before the next attempt; the first interruption has none."""
    place = failures - (2 if outcome == "interrupted" else 1)
    return BACK_OFF[min(place, len(BACK_OFF) - 1)] if outcome in BACKS_OFF and place >= 0 else 0


def resolved_train(document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """`train` of the resolved document in a run's ConfigMap; empty without one."""
    text = ((document or {}).get("data") or {}).get("resolved.json")
    found: Mapping[str, Any] = json.loads(text).get("train") or {} if text else {}
    return found
