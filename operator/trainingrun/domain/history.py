"""The last ends of attempts in `status.attempts[].history`; ends before those are only counted, in `older`.

Invariant: every end is in one of both. The history gives way when the whole status would become too long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from trainingrun.api.status import AttemptEnd, StageAttempts, Status

KEPT: Final = 3
MAX_STATUS_BYTES: Final = 8 * 1024 - 1


def add(entry: StageAttempts, end: AttemptEnd) -> None:
    """Add the newest end of a stage."""
    entry.setdefault("history", []).append(end)
    while len(entry["history"]) > KEPT:
        _count_oldest(entry)


def count(entry: StageAttempts) -> int:
    """Return the number of ends that were recorded."""
    return len(entry.get("history", ())) + sum(entry.get("older", {}).values())


def last_step(entry: StageAttempts) -> int | None:
    """Return the last step of the attempt that ended last; None if it is not known, or no end is."""
    history = entry.get("history")
    return history[-1].get("toStep") if history else None


def fit(status: Status) -> None:
    """Keep the status below 8 KiB: of all stages the end that is longest ago goes first."""
    while _size(status) > MAX_STATUS_BYTES:
        entries = [entry for entry in status.get("attempts", []) if entry.get("history")]
        if not entries:
            return
        _count_oldest(min(entries, key=lambda entry: entry["history"][0].get("endedAt", "")))


def _size(status: Mapping[str, object]) -> int:
    """Bytes that the API server stores."""
    return len(json.dumps(status, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def _count_oldest(entry: StageAttempts) -> None:
    outcome = entry["history"].pop(0).get("outcome", "unknown")
    older = entry.setdefault("older", {})
    older[outcome] = older.get(outcome, 0) + 1
    if not entry["history"]:
        del entry["history"]
