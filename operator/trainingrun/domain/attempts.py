"""Bookkeeping of attempts: which were started, which were counted, and whether another may be made.

One entry per stage in `status.attempts`: `number` attempts were started, the first `ended` of them were counted. An
entry with `ended < number` has an attempt in flight, whatever Jobs exist.
"""

from __future__ import annotations

from datetime import timedelta

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.api.status import Changes
from trainingrun.domain import reported
from trainingrun.domain.draft import MAX_LAST, Draft
from trainingrun.domain.texts import cut
from trainingrun.domain.verdicts import POLICIES, Outcome, Verdict, back_off_seconds


def begin(draft: Draft, stage: Stage, *, number: int, changes: Changes, goes_on: bool = False) -> None:
    """Record that attempt `number` was started now, or that it goes on with the wait of the one before."""
    entry = draft.attempts(stage)
    entry["number"] = number
    if not goes_on or "startedAt" not in entry:
        entry["startedAt"] = draft.now_text
    entry.pop("nextRetryAt", None)
    entry.pop("jobUID", None)
    entry.pop("changes", None)
    if changes:
        entry["changes"] = changes
    if stage is Stage.TRAIN:  # these were of the attempt before
        training = draft.status.get("training", {})
        training.pop("resumedFromStep", None)
        training.pop("stoppedBy", None)


def end(draft: Draft, stage: Stage) -> None:
    """Record that the attempt in flight is over, without counting a failure."""
    entry = draft.attempts(stage)
    entry["ended"] = entry["number"]
    entry.pop("ranAt", None)
    entry.pop("jobUID", None)


def pause(draft: Draft, stage: Stage, *, seconds: float) -> None:
    """Record that the attempt in flight is over, without counting a failure, and that the next one starts later."""
    end(draft, stage)
    draft.attempts(stage)["nextRetryAt"] = clock.to_text(draft.now + timedelta(seconds=seconds))


def count_end(draft: Draft, stage: Stage, verdict: Verdict, *, retries: int = 0) -> bool:
    """Count the end of the attempt in flight; return whether another one follows: a failure has so many retries."""
    entry = draft.attempts(stage)
    end(draft, stage)
    entry["lastOutcome"] = verdict.outcome.value
    entry["lastReason"] = verdict.reason.name
    entry["lastMessage"] = cut(verdict.message, MAX_LAST)
    if verdict.outcome is Outcome.SUCCEEDED:
        entry.pop("savedImages", None)  # if the data set is lost, another one begins at its first image
        return True
    failures = entry.setdefault("failures", {})
    kind, policy = verdict.outcome.value, POLICIES[verdict.outcome]
    if _advanced(draft, stage, verdict):
        failures.pop(Outcome.STORAGE_REFUSED.value, None)  # these are rebuilds of the data set, others end the run
        if verdict.outcome is Outcome.INTERRUPTED:
            failures[kind] = 0  # unlimited while the stage advances
    failures[kind] = failures.get(kind, 0) + 1
    if failures[kind] > retries:
        return False
    without_delay = 1 if verdict.outcome is Outcome.INTERRUPTED else 0  # an attempt did not cause its interruption
    delay = back_off_seconds(failures[kind] - without_delay) if policy.back_off else 0
    if delay:
        entry["nextRetryAt"] = clock.to_text(draft.now + timedelta(seconds=delay))
    return True


def reset_budgets(draft: Draft) -> None:
    """Give every stage fresh budgets; numbers continue, so that names of Jobs never repeat."""
    for entry in draft.status.get("attempts", []):
        entry.pop("failures", None)
        entry.pop("nextRetryAt", None)
        entry["ended"] = entry.get("number", 0)


def _advanced(draft: Draft, stage: Stage, verdict: Verdict) -> bool:
    """Record what the stage has in the bucket, also from progress: a pod that was lost leaves no verdict."""
    entry = draft.attempts(stage)
    if stage is Stage.TRAIN:
        before, seen = entry.get("checkpointStep", 0), draft.status.get("training", {}).get("checkpointStep", 0)
        claimed = reported.training(verdict.numbers).get("checkpointStep", 0)
        now = entry["checkpointStep"] = max(before, seen, claimed)
    elif stage is Stage.PREP:
        before, seen = entry.get("savedImages", 0), draft.status.get("dataset", {}).get("savedImages", 0)
        claimed = reported.preparation(verdict.numbers).get("savedImages", 0)
        now = entry["savedImages"] = max(before, seen, claimed)
    else:
        return False
    return now > before
