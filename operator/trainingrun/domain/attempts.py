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
from trainingrun.domain.draft import Draft
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
    entry["lastReason"] = verdict.reason
    entry["lastMessage"] = verdict.message[:1024]
    if verdict.outcome is Outcome.SUCCEEDED:
        return Again(0)
    failures: dict[str, int] = entry.setdefault("failures", {})
    if verdict.outcome is Outcome.INTERRUPTED and _advanced(entry, verdict):
        failures[Outcome.INTERRUPTED] = 0  # unlimited while the newest checkpoint advances
    failures[verdict.outcome] = failures.get(verdict.outcome, 0) + 1
    policy = POLICIES[verdict.outcome]
    if failures[verdict.outcome] > policy.retries:
        return None
    free = 1 if verdict.outcome is Outcome.INTERRUPTED else 0  # the first interruption is nobody's fault
    delay = back_off_seconds(failures[verdict.outcome] - free) if policy.back_off else 0
    if delay:
        entry["nextRetryAt"] = clock.to_text(draft.now + timedelta(seconds=delay))
    return Again(delay)


def reopen(draft: Draft) -> None:
    """Give every stage fresh budgets; numbers go on, so that names never repeat."""
    for entry in draft.status.get("attempts", []):
        entry.pop("failures", None)
        entry.pop("nextRetryAt", None)
        entry["ended"] = entry.get("number", 0)


def _advanced(entry: dict[str, Any], verdict: Verdict) -> bool:
    step = int(verdict.numbers.get("checkpointStep", 0))
    before = int(entry.get("checkpointStep", 0))
    entry["checkpointStep"] = max(step, before)
    return step > before
