"""The last ends of attempts in `status.attempts[].history`; ends before those are only counted, in `older`.

Invariant: every end is in one of both. The history gives way when the whole status would become too long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from trainingrun.api.status import AttemptEnd, StageAttempts, Status

KEPT: Final = 3
REPLACED: Final = "replaced"  # outcome of an attempt that never ran, and is no failure
MAX_STATUS_BYTES: Final = 8 * 1024 - 1


def add(entry: StageAttempts, end: AttemptEnd) -> None:
    """Add the newest end of a stage; of attempts in a row that were replaced for one reason, only the last is kept."""
    if entry.get("history") and _is_same_wait(entry["history"][-1], end):
        _count(entry, -1)
    entry.setdefault("history", []).append(end)
    while len(entry["history"]) > KEPT:
        _count(entry, 0)


def count(entry: StageAttempts) -> int:
    """Return the number of ends that were recorded."""
    return len(entry.get("history", ())) + sum(entry.get("older", {}).values())


def last_step(entry: StageAttempts) -> int | None:
    """Return the last step of the attempt that ended last; None if it is not known, or no end is."""
    history = entry.get("history")
    return history[-1].get("toStep") if history else None


def fit(status: Status) -> None:
    """Keep the status below 8 KiB: of all stages the end that is longest ago goes first."""
    while entries := [entry for entry in status.get("attempts", []) if entry.get("history")]:
        if _size(status) <= MAX_STATUS_BYTES:
            return
        _count(min(entries, key=lambda entry: entry["history"][0].get("endedAt", "")), 0)


def _size(status: Mapping[str, object]) -> int:
    """Bytes that the API server stores."""
    return len(json.dumps(status, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def _is_same_wait(one: AttemptEnd, other: AttemptEnd) -> bool:
    return one.get("outcome") == other.get("outcome") == REPLACED and one.get("reason") == other.get("reason")


def _count(entry: StageAttempts, index: int) -> None:
    outcome = entry["history"].pop(index).get("outcome", "unknown")
    older = entry.setdefault("older", {})
    older[outcome] = older.get(outcome, 0) + 1
    if not entry["history"]:
        del entry["history"]
