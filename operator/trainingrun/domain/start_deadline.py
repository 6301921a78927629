"""spec.startDeadlineSeconds: how long an attempt may wait for its start, over all tries of one wait.

It counts from the creation of the attempt's Job, or its last resumption. An attempt that was given up because an object
is missing (missing_object.py) goes on in the next one, which keeps its `startedAt`.
"""

from __future__ import annotations

from typing import Final

from trainingrun.api import clock, reasons
from trainingrun.domain import attempts
from trainingrun.domain.accounting import Ending, close_attempt
from trainingrun.domain.failed_attempt import fail_run
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.stage import StageContext
from trainingrun.domain.verdicts import Outcome, Verdict

_RESUMED_SECONDS: Final = 5  # a Job that starts so long after its creation was suspended


def seconds_left(context: StageContext, job: JobView | None) -> float | None:
    """Return how long the attempt may still wait; None without a limit, or once its containers have run."""
    limit = context.draft.run.spec.get("startDeadlineSeconds")
    if limit is None or "ranAt" in context.attempts:
        return None
    begun = context.attempts.get("startedAt", "")
    if job is not None:
        resumed = (clock.seconds_between(job.created, job.started_at) or 0) > _RESUMED_SECONDS
        created = max(job.created, job.started_at)
        begun = created if resumed or not begun else min(created, begun)
    return float(limit) - (clock.seconds_between(begun, context.draft.now_text) or 0)


def fail_start(context: StageContext, pod: PodView | None, *, job: str, cause: str, hint: str) -> None:
    """End the run because the pod of a Job has not started in time."""
    limit = context.draft.run.spec["startDeadlineSeconds"]
    what = f"The pod of {job} did not start within spec.startDeadlineSeconds ({limit} s): {cause}"
    verdict = Verdict(Outcome.USER_ERROR, reasons.START_DEADLINE_EXCEEDED, what, hint)
    if context.attempts["number"] > context.attempts.get("ended", 0):  # else it pauses, and no attempt is in flight
        close_attempt(context, Ending.of(verdict, pod))
    attempts.count_end(context.draft, context.stage, verdict)
    fail_run(context, verdict)
