"""Bookkeeping of attempts: what was started, what was counted, what may be tried again.

One entry per stage in `status.attempts`: `number` attempts were started, the first `ended` of them were counted. An
entry with `ended < number` has an attempt in flight, whatever Jobs are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.domain import reported
from trainingrun.domain.draft import MAX_LAST, Draft
from trainingrun.domain.verdicts import POLICIES, Outcome, Verdict, back_off_seconds


@dataclass(frozen=True, slots=True)
class Again:
    """Start the next attempt, not before `delay` seconds."""

    delay: int


def begin(draft: Draft, stage: Stage, *, number: int) -> None:
    """Record that attempt `number` was started now."""
    entry = draft.entry("attempts", stage)
    entry["number"] = number
    entry["startedAt"] = draft.now_text
    entry.pop("nextRetryAt", None)


def count(draft: Draft, stage: Stage, verdict: Verdict) -> Again | None:
    """Count the end of the attempt in flight; return how to go on, or None when the budget is spent."""
    entry = draft.entry("attempts", stage)
    entry["ended"] = entry["number"]
    entry["lastOutcome"] = str(verdict.outcome)
    entry["lastReason"] = reported.reason(verdict.reason)
    entry["lastMessage"] = verdict.message[:MAX_LAST]
    if verdict.outcome is Outcome.SUCCEEDED:
        return Again(0)
    failures: dict[str, int] = entry.setdefault("failures", {})
    kind, policy = str(verdict.outcome), POLICIES[verdict.outcome]
    if _advanced(draft, entry, stage, verdict) and verdict.outcome is Outcome.INTERRUPTED:
        failures[kind] = 0  # unlimited while the newest checkpoint advances
    failures[kind] = failures.get(kind, 0) + 1
    if failures[kind] > policy.retries:
        return None
    free = 1 if verdict.outcome is Outcome.INTERRUPTED else 0  # the first interruption is nobody's fault
    delay = back_off_seconds(failures[kind] - free) if policy.back_off else 0
    if delay:
        entry["nextRetryAt"] = clock.to_text(draft.now + timedelta(seconds=delay))
    return Again(delay)


def reopen(draft: Draft) -> None:
    """Give every stage fresh budgets; numbers go on, so that names never repeat."""
    for entry in draft.status.get("attempts", []):
        entry.pop("failures", None)
        entry.pop("nextRetryAt", None)
        entry["ended"] = entry.get("number", 0)


def _advanced(draft: Draft, entry: dict[str, Any], stage: Stage, verdict: Verdict) -> bool:
    """Note the newest checkpoint; a pod that was lost without a verdict may have told of it before."""
    if stage is not Stage.TRAIN:
        return False
    told = draft.status.get("training", {}).get("checkpointStep", 0)
    before = entry.get("checkpointStep", 0)
    entry["checkpointStep"] = max(reported.count(verdict.numbers.get("checkpointStep")) or 0, told, before)
    return bool(entry["checkpointStep"] > before)
