"""spec.activeDeadlineSeconds: how long a run may be active before it fails.

As in a Job, the time starts again when the run is resumed from a suspension, and nothing counts while it is suspended.
It starts with the acceptance, so waiting for another run does not count; a retry starts it again too.
"""

from __future__ import annotations

from trainingrun.api import clock, reasons
from trainingrun.domain import attempts
from trainingrun.domain.accounting import Ending, close_attempt
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.failed_attempt import fail_run
from trainingrun.domain.observe import PodView
from trainingrun.domain.stage import StageContext
from trainingrun.domain.verdicts import Outcome, Verdict


def keep_time(decision: Decision) -> None:
    """Record since when an accepted run is active, and look again at its deadline."""
    draft = decision.draft
    if "activeDeadlineSeconds" not in draft.run.spec or draft.run.spec.get("suspend"):
        draft.status.pop("activeSince", None)
        return
    draft.status.setdefault("activeSince", draft.now_text)
    left = _seconds_left(draft)
    if left > 0:  # else this reconcile ends the run, or it cannot until something else changes
        decision.requeue(after=left)


def start_again(draft: Draft) -> None:
    """Let the time start again, for a run that is reopened."""
    draft.status.pop("activeSince", None)


def is_past(draft: Draft) -> bool:
    """Whether the run has been active for too long."""
    return "activeSince" in draft.status and _seconds_left(draft) <= 0


def fail(context: StageContext, pod: PodView | None) -> None:
    """End the run, and the attempt in flight if there is one; its pod still saves a checkpoint."""
    draft, entry = context.draft, context.attempts
    limit = draft.run.spec["activeDeadlineSeconds"]
    what = f"The run was active for longer than spec.activeDeadlineSeconds ({limit} s) in stage {context.stage}."
    verdict = Verdict(Outcome.USER_ERROR, reasons.ACTIVE_DEADLINE_EXCEEDED, what)
    if entry.get("number", 0) > entry.get("ended", 0):
        close_attempt(context, Ending.of(verdict, pod))
        attempts.count_end(draft, context.stage, verdict)
    fail_run(context, verdict)


def _seconds_left(draft: Draft) -> float:
    passed = clock.seconds_between(draft.status.get("activeSince"), draft.now_text) or 0
    return float(draft.run.spec["activeDeadlineSeconds"]) - passed
